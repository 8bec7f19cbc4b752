package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/router"
)

func newPrivateKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func newKey(t *testing.T) gossh.Signer {
	t.Helper()
	signer, err := gossh.NewSignerFromKey(newPrivateKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// testServer is a Server with the users ann and bob.
type testServer struct {
	*Server
	addr     string // on loopback; empty in simulated time
	connect  func() (net.Conn, error)
	ann, bob gossh.Signer
	stop     context.CancelFunc
	stopped  chan struct{}
}

// startServer starts a server. Without hostKeys it generates one.
func startServer(t *testing.T, limits Limits, handler router.Handler, hostKeys ...gossh.Signer) *testServer {
	t.Helper()
	return startServerWith(t, limits, handler, func(s *Server) {
		if len(hostKeys) > 0 {
			s.HostKeys = hostKeys
		}
	})
}

// startServerWith starts a server after change has modified it.
func startServerWith(t *testing.T, limits Limits, handler router.Handler, change func(*Server)) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	s := serveOn(t, l, func() (net.Conn, error) { return net.Dial("tcp", address) }, limits, handler, change)
	s.addr = address
	return s
}

// startSimulated starts a server in a synctest bubble.
func startSimulated(t *testing.T, limits Limits, handler router.Handler) *testServer {
	t.Helper()
	l := newMemoryListener()
	return serveOn(t, l, l.dial, limits, handler, func(*Server) {})
}

func serveOn(t *testing.T, l net.Listener, connect func() (net.Conn, error), limits Limits, handler router.Handler,
	change func(*Server),
) *testServer {
	t.Helper()
	s := &testServer{connect: connect, ann: newKey(t), bob: newKey(t), stopped: make(chan struct{})}
	users := acl.NewDirectory()
	users.Add(acl.User{Login: "ann", Groups: []acl.Group{{}}}, string(s.ann.PublicKey().Marshal()))
	users.Add(acl.User{Login: "bob", Groups: []acl.Group{{}}}, string(s.bob.PublicKey().Marshal()))
	s.Server = &Server{
		HostKeys: []gossh.Signer{newKey(t)}, Users: users, Handler: handler, Limits: limits,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	change(s.Server)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		s.Serve(ctx, l, 2*time.Second)
		close(s.stopped)
	}()
	t.Cleanup(func() { stop(); <-s.stopped })
	return s
}

func (s *testServer) dial(t *testing.T, user string, keys ...gossh.Signer) (*gossh.Client, error) {
	t.Helper()
	conn, err := s.connect()
	if err != nil {
		return nil, err
	}
	c, channels, requests, err := gossh.NewClientConn(conn, s.addr, &gossh.ClientConfig{
		User: user, Auth: []gossh.AuthMethod{gossh.PublicKeys(keys...)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	client := gossh.NewClient(c, channels, requests)
	t.Cleanup(func() { client.Close() })
	return client, nil
}

func (s *testServer) annsClient(t *testing.T) *gossh.Client {
	t.Helper()
	client, err := s.dial(t, "ann", s.ann)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// wantAlive fails the test unless the server accepts a new client.
func (s *testServer) wantAlive(t *testing.T) {
	t.Helper()
	client, err := s.dial(t, "bob", s.bob)
	if err != nil {
		t.Fatalf("the server does not respond: %v", err)
	}
	defer client.Close()
	runLine(t, client, "x")
}

func runLine(t *testing.T, client *gossh.Client, line string) string {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	out, err := session.Output(line)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return string(out)
}

// whoHandler prints the identity and the line of the request.
func whoHandler(_ context.Context, req *router.Request) error {
	fmt.Fprintf(req.Console.Stdout, "%s %s\n", req.Session.Login, req.Session.Line)
	return nil
}

// mismatchedSigner offers one key and signs with another.
type mismatchedSigner struct{ shown, signs gossh.Signer }

func (o mismatchedSigner) PublicKey() gossh.PublicKey { return o.shown.PublicKey() }
func (o mismatchedSigner) Sign(rand io.Reader, data []byte) (*gossh.Signature, error) {
	return o.signs.Sign(rand, data)
}

func TestLogin_IdentityOfProvenKey(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	mallory := newKey(t)
	for _, tc := range []struct {
		name string
		user string
		keys []gossh.Signer
		want string // login; empty: refused
	}{
		{"own key", "ann", []gossh.Signer{s.ann}, "ann"},
		{"another user's name", "bob", []gossh.Signer{s.ann}, ""},
		{"unknown key", "ann", []gossh.Signer{mallory}, ""},
		{"unknown user", "eve", []gossh.Signer{s.ann}, ""},
		{"offer ann's key, sign with mallory's", "ann", []gossh.Signer{mismatchedSigner{s.ann, mallory}}, ""},
		{"offer ann's key, sign with bob's", "ann", []gossh.Signer{mismatchedSigner{s.ann, s.bob}}, ""},
		{"offer ann's key, then prove mallory's", "ann", []gossh.Signer{mismatchedSigner{s.ann, mallory}, mallory}, ""},
		{"wrong key first", "ann", []gossh.Signer{mallory, s.ann}, "ann"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, err := s.dial(t, tc.user, tc.keys...)
			if tc.want == "" {
				if err == nil {
					got := runLine(t, client, "whoami")
					t.Fatalf("logged in as %q, want a refusal", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := runLine(t, client, "whoami"); !strings.HasPrefix(got, tc.want+" ") {
				t.Errorf("got %q, want %s", got, tc.want)
			}
		})
	}
	s.wantAlive(t)
}

func TestLogin_KeyRequired(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	for name, auth := range map[string][]gossh.AuthMethod{
		"none":     nil,
		"password": {gossh.Password("")},
		"keyboard": {gossh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) {
			return nil,
				nil
		})},
	} {
		client, err := gossh.Dial("tcp", s.addr, &gossh.ClientConfig{
			User: "ann", Auth: auth,
			HostKeyCallback: gossh.InsecureIgnoreHostKey(),
		})
		if err == nil {
			client.Close()
			t.Errorf("%s: login succeeded", name)
		}
	}
}

// openSession opens a session channel without the client's session handling.
func openSession(t *testing.T, client *gossh.Client) (gossh.Channel, <-chan *gossh.Request) {
	t.Helper()
	ch, requests, err := client.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.Close() })
	return ch, requests
}

func ptyRequest(term string, w, h uint32) []byte {
	return gossh.Marshal(struct {
		Term       string
		W, H, X, Y uint32
		Modes      string
	}{term, w, h, 0, 0, ""})
}

func windowChange(width uint32) []byte {
	return gossh.Marshal(struct{ W, H, X, Y uint32 }{width, 24, 0, 0})
}

func execRequest(line string) []byte { return gossh.Marshal(struct{ Command string }{line}) }

func TestRequests_Malformed(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	client := s.annsClient(t)
	huge := binary.BigEndian.AppendUint32(nil, 0xFFFFFFFF)
	for _, tc := range []struct {
		kind    string
		payload []byte
	}{
		{"pty-req", huge},
		{"pty-req", nil},
		{"pty-req", ptyRequest(strings.Repeat("x", 1000), 80, 24)},
		{"pty-req", ptyRequest("xterm", 80, 24)[:12]},
		{"window-change", huge},
		{"window-change", nil},
		{"signal", huge},
		{"signal", nil},
		{"exec", huge},
		{"exec", nil},
		{"env", huge},
		{"break", huge},
		{"subsystem", huge},
		{"subsystem", execRequest("sf tp")},
		{"pty-req", ptyModesRequest("\x03\x00\x00\x00")},
		{"auth-agent-req@openssh.com", nil},
		{"x11-req", huge},
		{"nonsense", huge},
	} {
		ch, _ := openSession(t, client)
		if ok, err := ch.SendRequest(tc.kind, true, tc.payload); err != nil || ok {
			t.Errorf("%s % x: got %v, %v, want a refusal", tc.kind, tc.payload, ok, err)
		}
		if ok, err := ch.SendRequest("exec", true, execRequest("after")); err != nil || !ok {
			t.Errorf("exec after %s: got %v, %v", tc.kind, ok, err)
		}
		if got, _ := io.ReadAll(ch); string(got) != "ann after\n" {
			t.Errorf("after %s: got %q", tc.kind, got)
		}
		ch.Close()
	}
	s.wantAlive(t)
}

func TestPty_NoSize(t *testing.T) {
	s := startServer(t, Limits{}, func(_ context.Context, req *router.Request) error {
		width, height := req.Console.Terminal.Size()
		fmt.Fprintf(req.Console.Stdout, "%s %dx%d\n", req.Console.Terminal.Name, width, height)
		return nil
	})
	ch, _ := openSession(t, s.annsClient(t))
	for _, step := range []struct {
		kind    string
		payload []byte
	}{{"pty-req", ptyRequest("xterm", 0, 0)}, {"exec", execRequest("x")}} {
		if ok, err := ch.SendRequest(step.kind, true, step.payload); err != nil || !ok {
			t.Fatalf("%s: got %v, %v", step.kind, ok, err)
		}
	}
	if got, _ := io.ReadAll(ch); string(got) != "xterm 0x0\r\n" {
		t.Errorf("got %q, want a terminal of 0x0 and CR LF", got)
	}
}

func TestRequests_UnreadDoNotBlock(t *testing.T) {
	release := make(chan struct{})
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		if req.Session.Line == "wait" {
			<-release
		}
		return whoHandler(ctx, req)
	})
	client := s.annsClient(t)
	ch, _ := openSession(t, client)
	ch.SendRequest("pty-req", true, ptyRequest("xterm", 80, 24))
	ch.SendRequest("window-change", true, windowChange(100)) // before exec
	ch.SendRequest("exec", true, execRequest("wait"))
	for i := range 500 {
		if _, err := ch.SendRequest("window-change", false, windowChange(uint32(i))); err != nil {
			t.Fatal(err)
		}
		if _, err := ch.SendRequest("signal", false, gossh.Marshal(struct{ Name string }{"USR1"})); err != nil {
			t.Fatal(err)
		}
	}
	if got := runLine(t, client, "meantime"); got != "ann meantime\n" {
		t.Errorf("another session of the connection: got %q", got)
	}
	close(release)
	if got, _ := io.ReadAll(ch); string(got) != "ann wait\r\n" {
		t.Errorf("got %q", got)
	}
	s.wantAlive(t)
}

func TestSession_TenAtOnce(t *testing.T) {
	var together atomic.Int32
	all := make(chan struct{})
	s := startServer(t, Limits{}, func(_ context.Context, req *router.Request) error {
		if req.Session.Line == "x" {
			return nil
		}
		if together.Add(1) == 10 {
			close(all)
		}
		<-all
		io.WriteString(req.Console.Stdout, req.Session.Line)
		return nil
	})
	client := s.annsClient(t)
	var wg sync.WaitGroup
	var sessions []*gossh.Session
	for range 10 {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, session)
	}
	if _, err := client.NewSession(); err == nil {
		t.Error("an eleventh session was accepted")
	}
	for i, session := range sessions {
		wg.Go(func() {
			want := fmt.Sprint("session ", i)
			if got, err := session.Output(want); err != nil || string(got) != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	wg.Wait()
	eventually(t, "the slot of a closed session is free", func() bool {
		_, err := client.NewSession()
		return err == nil
	})
	s.wantAlive(t)
}

func TestSession_ContextEndsWithChannel(t *testing.T) {
	causes := make(chan error, 1)
	running := make(chan struct{})
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		if req.Session.Line != "wait" {
			return nil
		}
		close(running)
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil
	})
	client := s.annsClient(t)
	ch, _ := openSession(t, client)
	ch.SendRequest("exec", true, execRequest("wait"))
	<-running
	ch.Close()
	select {
	case cause := <-causes:
		if !errors.Is(cause, router.ErrClientDisconnected) {
			t.Errorf("got %v, want %v", cause, router.ErrClientDisconnected)
		}
	case <-time.After(time.Minute):
		t.Fatal("the command is still running although its session was closed")
	}
	runLine(t, client, "the connection is open")
}

func TestSignals_Interrupt(t *testing.T) {
	s := startServer(t, Limits{}, func(ctx context.Context, _ *router.Request) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	for signal, code := range map[gossh.Signal]int{gossh.SIGINT: 130, gossh.SIGTERM: 143, gossh.SIGHUP: 129} {
		session, err := s.annsClient(t).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start("wait"); err != nil {
			t.Fatal(err)
		}
		session.Signal(signal)
		var exit *gossh.ExitError
		if err := session.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != code {
			t.Errorf("%s: got %v, want exit code %d", signal, err, code)
		}
	}
}

func TestErrors_OneSafeLineEach(t *testing.T) {
	s := startServer(t, Limits{}, func(context.Context, *router.Request) error {
		return router.Exit(2, errors.Join(errors.New("first \x1b[31m"), router.Exit(7, errors.New("second"))))
	})
	session, err := s.annsClient(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	session.Stdout, session.Stderr = &stdout, &stderr
	err = session.Run("x")
	var exit *gossh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 2 {
		t.Errorf("got %v, want exit code 2", err)
	}
	want := "nomadctld: first \\x1b[31m\nnomadctld: second\n"
	if stdout.String() != "" || stderr.String() != want {
		t.Errorf("got %q and %q, want %q only on stderr", stdout.String(), stderr.String(), want)
	}
}

func TestPanic_EndsOneSession(t *testing.T) {
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		if req.Session.Line == "panic" {
			panic("boom")
		}
		return whoHandler(ctx, req)
	})
	client := s.annsClient(t)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Run("panic"); err == nil {
		t.Error("a command that panicked succeeded")
	}
	if got := runLine(t, client, "continue"); got != "ann continue\n" {
		t.Errorf("got %q", got)
	}
	s.wantAlive(t)
}

func TestHandshake_SilentClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{Unauthenticated: 8}, whoHandler)
		var silent []net.Conn
		for range 2 {
			conn, err := s.connect()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Read(make([]byte, 1)) // the server has started to serve it
			silent = append(silent, conn)
		}
		// A quarter of the slots is for one network, so this login takes the slot of the oldest connection.
		first, err := s.dial(t, "ann", s.ann)
		if err != nil {
			t.Fatalf("while two connections were silent: %v", err)
		}
		first.Close()
		for _, conn := range silent {
			conn.SetReadDeadline(time.Now().Add(s.Limits.HandshakeTimeout + time.Second))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a silent connection was not closed")
			}
		}
		client := s.annsClient(t)
		time.Sleep(s.Limits.HandshakeTimeout + time.Second)
		runLine(t, client, "still here")
	})
}

func TestLimits_Connections(t *testing.T) {
	s := startServer(t, Limits{Connections: 2}, whoHandler)
	first := s.annsClient(t)
	s.annsClient(t)
	if _, err := s.dial(t, "ann", s.ann); err == nil {
		t.Error("a third connection was accepted")
	}
	first.Close()
	eventually(t, "a slot became free", func() bool {
		_, err := s.dial(t, "ann", s.ann)
		return err == nil
	})
}

func TestIdle_ConnectionClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{IdleTimeout: time.Hour}, whoHandler)
		client := s.annsClient(t)
		runLine(t, client, "x")
		started := time.Now()
		client.Wait()
		// Keepalives, sent every 30 seconds, do not count.
		if idle := time.Since(started); idle < time.Hour || idle > time.Hour+time.Second {
			t.Errorf("closed after %s, want 1h", idle)
		}
	})
}

func TestKeepalive_DeadClientClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		canceled := make(chan struct{})
		s := startSimulated(t, Limits{}, func(ctx context.Context, _ *router.Request) error {
			<-ctx.Done()
			close(canceled)
			return nil
		})
		connect, frozen := s.connect, &freezableConn{}
		s.connect = func() (conn net.Conn, err error) {
			frozen.Conn, err = connect()
			return frozen, err
		}
		session, err := s.annsClient(t).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start("wait"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		select {
		case <-canceled:
			t.Error("the command was canceled although the client responds")
		default:
		}
		frozen.frozen.Store(true)
		select {
		case <-canceled:
		case <-time.After(5 * s.Limits.KeepaliveInterval):
			t.Error("the command is still running although the client does not respond")
		}
	})
}

// freezableConn is a connection whose writes can be dropped.
type freezableConn struct {
	net.Conn
	frozen atomic.Bool
}

func (f *freezableConn) Write(p []byte) (int, error) {
	if f.frozen.Load() {
		return len(p), nil
	}
	return f.Conn.Write(p)
}

func TestIdle_ActiveSessionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{IdleTimeout: 8 * time.Second}, func(_ context.Context, req *router.Request) error {
			if req.Session.Line == "short" {
				time.Sleep(5 * time.Second)
			}
			for range 8 {
				io.WriteString(req.Console.Stderr, ".")
				time.Sleep(1500 * time.Millisecond)
			}
			return nil
		})
		client := s.annsClient(t)
		time.Sleep(4 * time.Second)
		for _, line := range []string{"short", "long"} {
			session, err := client.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			if err := session.Run(line); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

func TestDisconnect_Cause(t *testing.T) {
	causes, running := make(chan error, 1), make(chan struct{})
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		close(running)
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil
	})
	client := s.annsClient(t)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("wait"); err != nil {
		t.Fatal(err)
	}
	<-running
	client.Close()
	if cause := <-causes; !errors.Is(cause, router.ErrClientDisconnected) {
		t.Errorf("got %v, want %v", cause, router.ErrClientDisconnected)
	}
}

// disconnects are the ways in which a client may disconnect.
var disconnects = map[string]func(*gossh.Client, gossh.Channel){
	"connection closed": func(client *gossh.Client, _ gossh.Channel) { client.Close() },
	"channel closed":    func(_ *gossh.Client, ch gossh.Channel) { ch.Close() },
}

func TestUpload_CutIsNotEOF(t *testing.T) {
	type upload struct {
		text string
		err  error
	}
	uploads, started := make(chan upload, 1), make(chan struct{}, 1)
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		first := make([]byte, len("start"))
		_, err := io.ReadFull(req.Console.Stdin, first)
		started <- struct{}{}
		rest, failed := io.ReadAll(req.Console.Stdin)
		uploads <- upload{string(first) + string(rest), errors.Join(err, failed)}
		return nil
	})
	inputEnds := maps.Clone(disconnects)
	inputEnds["EOF"] = func(_ *gossh.Client, ch gossh.Channel) { ch.CloseWrite() }
	for name, endInput := range inputEnds {
		var want error
		if _, cut := disconnects[name]; cut {
			want = router.ErrClientDisconnected
		}
		for range 50 {
			client := s.annsClient(t)
			ch, requests := openSession(t, client)
			go gossh.DiscardRequests(requests)
			ch.SendRequest("exec", true, execRequest("read"))
			io.WriteString(ch, "start")
			<-started
			endInput(client, ch)
			if got := <-uploads; got.text != "start" || !errors.Is(got.err, want) || (want == nil) != (got.err == nil) {
				t.Fatalf("%s: got %+v, want %v", name, got, want)
			}
			client.Close()
		}
	}
}

func TestUpload_NoKeepaliveReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		uploads := make(chan error, 1)
		s := startSimulated(t, Limits{}, func(_ context.Context, req *router.Request) error {
			_, err := io.ReadAll(req.Console.Stdin)
			uploads <- err
			return nil
		})
		ch, _ := openSession(t, s.annsClient(t))
		ch.SendRequest("exec", true, execRequest("read"))
		ch.CloseWrite()
		if err := <-uploads; err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestWrite_ClientGone(t *testing.T) {
	results := make(chan error, 1)
	s := startServer(t, Limits{}, func(ctx context.Context, req *router.Request) error {
		for {
			if _, err := req.Console.ByteOutput.Stdout.Write(make([]byte, 1000)); err != nil {
				if ctx.Err() == nil {
					err = fmt.Errorf("the session is still running after %w", err)
				}
				results <- err
				return nil
			}
		}
	})
	for name, disconnect := range disconnects {
		for range 50 {
			client := s.annsClient(t)
			ch, requests := openSession(t, client)
			go gossh.DiscardRequests(requests)
			ch.SendRequest("exec", true, execRequest("write"))
			ch.Read(make([]byte, 3000))
			disconnect(client, ch)
			if err := <-results; err != router.ErrClientDisconnected {
				t.Fatalf("%s: got %v, want %v", name, err, router.ErrClientDisconnected)
			}
			client.Close()
		}
	}
}

func TestStop_StuckCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, release := make(chan struct{}), make(chan struct{})
		s := startSimulated(t, Limits{}, func(context.Context, *router.Request) error {
			close(running)
			<-release
			return nil
		})
		defer close(release)
		session, err := s.annsClient(t).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Start("x"); err != nil {
			t.Fatal(err)
		}
		<-running
		s.stop()
		select {
		case <-s.stopped:
		case <-time.After(time.Minute):
			t.Error("Serve waits for a command that does not stop")
		}
	})
}

// TestHandshake_FailedNoLeaks sends a packet that fails the handshake and then more packets than x/crypto's queue
// holds.
func TestHandshake_FailedNoLeaks(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	s.wantAlive(t)
	before := runtime.NumGoroutine()
	for range 20 {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		// An unencrypted packet is a length, a padding length, a type and padding. A service request is the wrong first
		// message of a key exchange. Many more follow.
		packet := []byte{0, 0, 0, 12, 10, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		conn.Write(append([]byte("SSH-2.0-x\r\n"), bytes.Repeat(packet, 200)...))
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	eventually(t, "the goroutines have exited", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestErrors_WrappedJoin(t *testing.T) {
	err := fmt.Errorf("stop web: %w: %w", errors.New("no response"), errors.New("refused"))
	if got := router.ErrorLines(router.Exit(3, err)); len(got) != 1 || got[0] != "stop web: no response: refused" {
		t.Errorf("got %q", got)
	}
	if got := router.ErrorLines(errors.Join(err, errors.New("second"))); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

func TestStop_Grace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := make(chan struct{})
		s := startSimulated(t, Limits{}, func(_ context.Context, req *router.Request) error {
			close(running)
			time.Sleep(200 * time.Millisecond)
			io.WriteString(req.Console.Stdout, "done")
			return nil
		})
		idle, err := s.dial(t, "bob", s.bob)
		if err != nil {
			t.Fatal(err)
		}
		session, err := s.annsClient(t).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		session.Stdout = &out
		if err := session.Start("x"); err != nil {
			t.Fatal(err)
		}
		<-running
		s.stop()
		if err := session.Wait(); err != nil || out.String() != "done" {
			t.Errorf("got %q, %v, want the command's output", out.String(), err)
		}
		idle.Wait()
		select {
		case <-s.stopped:
		case <-time.After(time.Minute):
			t.Error("Serve does not return")
		}
	})
}

func TestSession_NoLeaks(t *testing.T) {
	s := startServer(t, Limits{}, whoHandler)
	s.wantAlive(t)
	before := runtime.NumGoroutine()
	for range 20 {
		client, err := s.dial(t, "ann", s.ann)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			runLine(t, client, "x")
		}
		client.Close()
	}
	eventually(t, "the goroutines have exited", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 3000 {
		if done() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("timed out waiting until %s", what)
}
