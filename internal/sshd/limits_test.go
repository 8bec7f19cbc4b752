package sshd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/audit"
	"nomadctld/internal/console"
	"nomadctld/router"
)

// refuseLimited handles the error of a limit as the middleware does.
func refuseLimited(next router.Handler) router.Handler {
	return func(ctx context.Context, req *router.Request) error {
		if req.Session.LimitErr != nil {
			return req.Session.LimitErr
		}
		return next(ctx, req)
	}
}

// wantRefused runs a line that must be refused because of a limit.
func wantRefused(t *testing.T, client *gossh.Client, want string) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	session.Stderr = &stderr
	err = session.Run("x")
	var exit *gossh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 75 || stderr.String() != want+"\n" {
		t.Errorf("got %v and %q, want exit code 75 and %q", err, stderr.String(), want)
	}
}

func TestUserLimits_Connections(t *testing.T) {
	s := startServer(t, Limits{User: UserLimits{Connections: 2}}, refuseLimited(whoHandler))
	var clients []*gossh.Client
	for range 2 {
		clients = append(clients, s.annsClient(t))
	}
	for range 3 {
		client := s.annsClient(t)
		wantRefused(t, client, "nomadctld: user ann has reached the limit of 2 connections: close one, then try again")
		client.Close()
	}
	s.wantAlive(t) // bob
	if got := runLine(t, clients[0], "x"); got != "ann x\n" {
		t.Errorf("got %q", got)
	}
	clients[1].Close()
	eventually(t, "the slot is free", func() bool {
		client := s.annsClient(t)
		defer client.Close()
		session, err := client.NewSession()
		return err == nil && session.Run("x") == nil
	})
}

// TestUserLimits_SpareConnections opens connections that run no command.
func TestUserLimits_SpareConnections(t *testing.T) {
	s := startServer(t, Limits{User: UserLimits{Connections: 2}}, refuseLimited(whoHandler))
	open := 0
	for range 20 {
		if _, err := s.dial(t, "ann", s.ann); err == nil {
			open++
		}
	}
	if open != 2+maxSpareConnections {
		t.Errorf("%d connections are open, want 2 and %d spares", open, maxSpareConnections)
	}
	s.wantAlive(t)
}

func TestUserLimits_Sessions(t *testing.T) {
	release := make(chan struct{})
	var started sync.WaitGroup
	s := startServer(t, Limits{User: UserLimits{Sessions: 3}},
		refuseLimited(func(ctx context.Context, req *router.Request) error {
			if req.Session.Line == "wait" {
				started.Done()
				<-release
			}
			return whoHandler(ctx, req)
		}))
	started.Add(3)
	first, second := s.annsClient(t), s.annsClient(t)
	var sessions []*gossh.Session
	for _, client := range []*gossh.Client{first, first, second} {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start("wait"); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, session)
	}
	started.Wait()
	wantRefused(t, second, "nomadctld: user ann has reached the limit of 3 sessions: close one, then try again")
	s.wantAlive(t) // bob
	close(release)
	for _, session := range sessions {
		if err := session.Wait(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the slots are free", func() bool {
		session, err := second.NewSession()
		return err == nil && session.Run("x") == nil
	})
}

func TestLimits_AllSessions(t *testing.T) {
	release, started := make(chan struct{}), make(chan struct{})
	s := startServer(t, Limits{AllSessions: 1}, refuseLimited(func(ctx context.Context, req *router.Request) error {
		if req.Session.Line == "wait" {
			close(started)
			<-release
		}
		return whoHandler(ctx, req)
	}))
	session, err := s.annsClient(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("wait"); err != nil {
		t.Fatal(err)
	}
	<-started
	client, err := s.dial(t, "bob", s.bob)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, client, "nomadctld: the gateway is busy with 1 sessions: try again in a minute")
	close(release)
}

func TestUserLimits_NoLeaks(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	for range 20 {
		client := s.annsClient(t)
		runLine(t, client, "x")
		client.Close()
	}
	eventually(t, "no usage is stored", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.usage) == 0 && len(s.conns) == 0
	})
}

// authenticatedConnection returns a connection of a user, in simulated time.
func authenticatedConnection(limits Limits) (c *connection, closed func() bool) {
	limits.setDefaults()
	server, client := net.Pipe()
	c = newConnection(server, limits)
	c.markAuthenticated("ann")
	disconnected := make(chan struct{})
	go func() {
		io.Copy(io.Discard, client)
		close(disconnected)
	}()
	return c, func() bool {
		synctest.Wait()
		select {
		case <-disconnected:
			return true
		default:
			return false
		}
	}
}

// startedCommand returns a channel of c that runs a command.
func startedCommand(c *connection, terminal *console.Terminal) (*channel, context.Context) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ch := &channel{conn: c, cancel: cancel, started: true, terminal: terminal}
	c.addChannel(ch)
	c.markCommandStarted()
	return ch, ctx
}

func TestConnection_NoCommandClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, closed := authenticatedConnection(Limits{})
		c.addChannel(&channel{conn: c}) // a session without a command does not count
		time.Sleep(2*time.Minute - time.Second)
		if closed() {
			t.Error("closed too early")
		}
		time.Sleep(2 * time.Second)
		if !closed() {
			t.Error("still open after two minutes")
		}
	})
}

func TestConnection_StaysAfterCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, closed := authenticatedConnection(Limits{IdleTimeout: time.Hour})
		ch, _ := startedCommand(c, nil)
		c.removeChannel(ch)
		time.Sleep(59 * time.Minute)
		if closed() {
			t.Error("closed too early")
		}
		time.Sleep(2 * time.Minute)
		if !closed() {
			t.Error("still open after an idle hour")
		}
	})
}

func TestIdle_CommandWithoutTerminalStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, closed := authenticatedConnection(Limits{IdleTimeout: time.Hour})
		ch, ctx := startedCommand(c, nil)
		time.Sleep(100 * time.Hour)
		if closed() || ctx.Err() != nil {
			t.Fatal("a running command was canceled")
		}
		c.removeChannel(ch)
		time.Sleep(2 * time.Hour)
		if !closed() {
			t.Error("still open after an idle hour")
		}
	})
}

func TestIdle_TerminalIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, closed := authenticatedConnection(Limits{IdleTimeout: time.Hour})
		_, ctx := startedCommand(c, console.NewTerminal("xterm", 80, 24))
		for range 100 {
			time.Sleep(59 * time.Minute)
			c.markActive()
		}
		time.Sleep(59 * time.Minute)
		if ctx.Err() != nil {
			t.Error("an active terminal was closed")
		}
		time.Sleep(time.Minute + time.Second)
		if want := "closed after 1h0m0s without input or output (limits.idle)"; context.Cause(ctx) == nil ||
			context.Cause(ctx).Error() != want {
			t.Errorf("got %v, want %s", context.Cause(ctx), want)
		}
		if closed() {
			t.Error("closed before its command could exit")
		}
		time.Sleep(time.Minute)
		if !closed() {
			t.Error("still open")
		}
	})
}

func TestSignals_OnlyKnownNames(t *testing.T) {
	got := make(chan string, 1)
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		_, signals, out := req.Console.ProgramIO()
		io.WriteString(out.Stdout, "start")
		got <- <-signals
		return nil
	})
	ch, _ := openSession(t, s.annsClient(t))
	ch.SendRequest("exec", true, execRequest("x"))
	io.ReadFull(ch, make([]byte, 5))
	for _, name := range []string{"", "sigterm", "SIGTERM", "term", "TERM\n", strings.Repeat("A", 200<<10)} {
		if ok, err := ch.SendRequest("signal", true, gossh.Marshal(struct{ Name string }{name})); ok || err != nil {
			t.Errorf("%.20q: got %v, %v, want a refusal", name, ok, err)
		}
	}
	ch.SendRequest("signal", true, gossh.Marshal(struct{ Name string }{"USR2"}))
	if name := <-got; name != "USR2" {
		t.Errorf("got %.20q", name)
	}
}

// recorder stores the log lines and audit events of a server.
type recorder struct {
	mu     sync.Mutex
	log    bytes.Buffer
	events []audit.Event
}

func (w *recorder) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *recorder) record(e audit.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *recorder) eventsOf(kinds ...audit.Kind) (found []audit.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if slices.Contains(kinds, e.Kind) {
			found = append(found, e)
		}
	}
	return found
}

func (w *recorder) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func startRecorded(t *testing.T) (*testServer, *recorder) {
	w := &recorder{}
	return startServerWith(t, Limits{}, whoHandler, func(s *Server) {
		s.Log, s.Record = slog.New(slog.NewTextHandler(w, nil)), w.record
	}), w
}

func TestEvents_LoginAndDisconnect(t *testing.T) {
	s, w := startRecorded(t)
	client := s.annsClient(t)
	runLine(t, client, "x")
	if got := w.eventsOf(audit.Login, audit.Disconnect); len(got) != 1 || got[0].Kind != audit.Login {
		t.Fatalf("got %+v, want one login", got)
	}
	client.Close()
	eventually(t, "the disconnect is recorded", func() bool { return len(w.eventsOf(audit.Disconnect)) == 1 })
	login, disconnect := w.eventsOf(audit.Login)[0], w.eventsOf(audit.Disconnect)[0]
	for _, e := range []audit.Event{login, disconnect} {
		if e.User != "ann" || e.Key != gossh.FingerprintSHA256(s.ann.PublicKey()) || e.Connection == "" ||
			e.Remote == "" || e.Decision != audit.Allowed || e.Time.IsZero() {
			t.Errorf("got %+v", e)
		}
	}
	if login.Connection != disconnect.Connection || !disconnect.Time.After(login.Time) {
		t.Errorf("got %+v and %+v", login, disconnect)
	}
	if refused := w.eventsOf(audit.LoginRefused); len(refused) != 0 {
		t.Errorf("got %+v", refused)
	}
}

func TestEvents_RefusedLogins(t *testing.T) {
	mallory := newKey(t)
	for _, tc := range []struct {
		name  string
		user  string
		keys  func(s *testServer) []gossh.Signer
		event func(s *testServer) (user string, key gossh.Signer, text, line string)
	}{
		{
			"unknown keys", "ann", func(s *testServer) []gossh.Signer { return []gossh.Signer{mallory, s.bob} },
			func(s *testServer) (string, gossh.Signer, string, string) {
				return "ann", mallory, "login failed: no such user with that key: " +
						gossh.FingerprintSHA256(mallory.PublicKey()) + ", " +
						gossh.FingerprintSHA256(s.bob.PublicKey()),
					"level=INFO msg=\"login failed\""
			},
		},
		{
			"forged signature", "ann", func(s *testServer) []gossh.Signer {
				return []gossh.Signer{
					mallory,
					mismatchedSigner{s.ann, mallory},
				}
			},
			func(s *testServer) (string, gossh.Signer, string, string) {
				return "ann", s.ann, "login with a forged signature: ssh: signature did not verify",
					"level=WARN msg=\"login with a forged signature\""
			},
		},
		{
			"key without signature", "ann",
			func(s *testServer) []gossh.Signer { return []gossh.Signer{unsigningSigner{s.ann}} },
			func(s *testServer) (string, gossh.Signer, string, string) {
				return "ann", s.ann,
					"login failed: the client offered a public key but did not sign with the private key",
					"level=INFO msg=\"login failed\""
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, w := startRecorded(t)
			if _, err := s.dial(t, tc.user, tc.keys(s)...); err == nil {
				t.Fatal("login succeeded")
			}
			eventually(t, "the event is recorded", func() bool { return len(w.eventsOf(audit.LoginRefused)) == 1 })
			user, key, text, line := tc.event(s)
			e := w.eventsOf(audit.LoginRefused)[0]
			if e.User != user || e.Key != gossh.FingerprintSHA256(key.PublicKey()) || e.Error != text ||
				e.Decision != audit.Denied || e.Connection == "" || e.Remote == "" {
				t.Errorf("got %+v, want error %q", e, text)
			}
			if got := w.text(); strings.Count(got, "\n") != 1 || !strings.Contains(got, line) {
				t.Errorf("got log %q, want %s", got, line)
			}
			if got := w.eventsOf(audit.Login, audit.Disconnect); len(got) != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// unsigningSigner has a key and signs nothing.
type unsigningSigner struct{ gossh.Signer }

func (unsigningSigner) Sign(io.Reader, []byte) (*gossh.Signature, error) {
	return nil, errors.New("no")
}

// TestLoginLog_LoginTruncated tries a login of 20 KB with six keys.
func TestLoginLog_LoginTruncated(t *testing.T) {
	s, w := startRecorded(t)
	var keys []gossh.Signer
	for range 6 {
		keys = append(keys, newKey(t))
	}
	if _, err := s.dial(t, strings.Repeat("\x1b\x00\xff", 7000), keys...); err == nil {
		t.Fatal("login succeeded")
	}
	eventually(t, "the event is recorded", func() bool { return len(w.eventsOf(audit.LoginRefused)) == 1 })
	if e := w.eventsOf(audit.LoginRefused)[0]; len(e.User) > maxLogin+3 || len(e.Error) > maxErrorText+3 {
		t.Errorf("event with a login of %d bytes and a text of %d bytes", len(e.User), len(e.Error))
	}
	if n := len(w.text()); n > 1500 {
		t.Errorf("%d bytes of log", n)
	}
}

// TestLoginLog_Summaries: one address fails many times.
func TestLoginLog_Summaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &recorder{}
		s := &Server{Log: slog.New(slog.NewTextHandler(w, nil)), Record: w.record}
		r := newLoginLog(s)
		conn, _ := net.Pipe()
		for range 40 {
			c := newConnection(conn, Limits{GreetingTimeout: time.Second, HandshakeTimeout: time.Second})
			c.addRefused(newLoginAttempt("ann", "SHA256:x"))
			r.recordFailure(c, &gossh.ServerAuthError{})
			r.recordNoSlot(c)
			r.closeDisplaced(c)
		}
		forger := newConnection(conn, Limits{GreetingTimeout: time.Second, HandshakeTimeout: time.Second})
		forger.setAccepted(newLoginAttempt("ann", "SHA256:x"))
		r.recordFailure(forger, errors.New("ssh: signature did not verify"))
		forger.Close()
		time.Sleep(reportInterval)
		synctest.Wait()
		for _, want := range []string{
			`msg="login failed" suppressed=34 networks=1`, `msg="connection refused" suppressed=34 networks=1`,
			`msg="connection closed" suppressed=34 networks=1`,
		} {
			if !strings.Contains(w.text(), want) {
				t.Errorf("missing log line with %s", want)
			}
		}
		if lines := strings.Count(w.text(), "\n"); lines != 3*(maxPerNetwork+1)+1 {
			t.Errorf("%d lines of log", lines)
		}
		events := w.eventsOf(audit.LoginRefused)
		if len(events) != maxPerNetwork+2 {
			t.Fatalf("%d events, want %d, and the forgery and a summary", len(events), maxPerNetwork)
		}
		if got := events[maxPerNetwork].Error; got != "login with a forged signature: ssh: signature did not verify" {
			t.Errorf("earlier failures suppress the forgery: got %q", got)
		}
		const summary = "login failed: 34 more from 1 networks, not recorded individually"
		if got := events[maxPerNetwork+1].Error; got != summary {
			t.Errorf("got summary %q", got)
		}
	})
}

func TestLogThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type summary struct{ suppressed, networks int }
		var got []summary
		th := newLogThrottle(func(suppressed, networks int) { got = append(got, summary{suppressed, networks}) })
		allowed := 0
		try := func(from string) {
			if th.allow(networkOf(addr(from))) {
				allowed++
			}
		}
		for range 100 {
			try("192.0.2.1:1")
		}
		if allowed != maxPerNetwork {
			t.Errorf("%d events of one network, want %d", allowed, maxPerNetwork)
		}
		if try("192.0.2.2:1"); allowed != maxPerNetwork+1 {
			t.Error("one network suppresses the events of another")
		}
		time.Sleep(reportInterval + time.Second)
		synctest.Wait()
		if want := []summary{{94, 1}}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		allowed = 0
		for i := range 5000 { // at the same time, from as many networks
			try(net.JoinHostPort(network(i)[:len(network(i))-3], "1"))
		}
		if allowed != maxPerMinute {
			t.Errorf("%d events of many networks, want %d", allowed, maxPerMinute)
		}
		if len(th.networks) > maxThrottledNetworks || len(th.suppressedFrom) > maxThrottledNetworks {
			t.Errorf("%d and %d networks are stored", len(th.networks), len(th.suppressedFrom))
		}
		th.flush()
		if last := got[len(got)-1]; last.suppressed != 5000-maxPerMinute || len(got) != 2 {
			t.Errorf("got %v", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(got) != 2 {
			t.Errorf("got %v: nothing was suppressed any more", got)
		}
	})
}

// TestAdmission_LoginDespiteHalfOpen opens more and more silent connections.
func TestAdmission_LoginDespiteHalfOpen(t *testing.T) {
	s := startServer(t, Limits{Unauthenticated: 16, GreetingTimeout: time.Hour, HandshakeTimeout: time.Hour},
		whoHandler)
	before := runtime.NumGoroutine()
	var silent []net.Conn
	for i := range 200 {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%50))}
		conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
		if i%50 == 49 {
			client, err := s.dial(t, "ann", s.ann)
			if err != nil {
				t.Fatalf("after %d silent connections: %v", i+1, err)
			}
			runLine(t, client, "x")
			client.Close()
		}
	}
	for _, conn := range silent {
		conn.Close()
	}
	eventually(t, "the goroutines have exited", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestIsDisconnect(t *testing.T) {
	for _, err := range []error{
		io.EOF, net.ErrClosed, &gossh.ServerAuthError{},
		&net.OpError{Op: "read", Err: errors.New("reset")},
	} {
		if !isDisconnect(err) {
			t.Errorf("%v counts as a forgery", err)
		}
	}
	for _, err := range []error{
		errors.New("crypto/rsa: verification error"),
		errors.New("ssh: signature did not verify"),
	} {
		if isDisconnect(err) {
			t.Errorf("%v does not count as a forgery", err)
		}
	}
}
