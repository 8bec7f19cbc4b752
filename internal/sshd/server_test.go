package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/internal/authkeys"
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
			s.Settings.HostKeys = hostKeys
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

// withTestLimits replaces zero values of the limits that the configuration always sets.
func withTestLimits(l Limits) Limits {
	setDefault(&l.Sessions, 10)
	setDefault(&l.Connections, 500)
	setDefault(&l.MaxStartups, startups(100))
	setDefault(&l.User.Connections, 20)
	setDefault(&l.User.Sessions, 40)
	return l
}

// startups returns limits like the default, for n connections without login.
func startups(n int) MaxStartups { return MaxStartups{Start: max(1, n/10), Rate: 30, Full: n} }

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
	users := acl.NewDirectory(acl.Rules{Accounts: []acl.Account{
		newAccount("ann", s.ann.PublicKey()), newAccount("bob", s.bob.PublicKey()),
	}})
	s.Server = &Server{
		Settings: Settings{
			HostKeys: []gossh.Signer{newKey(t)}, Users: users, Handler: handler, Limits: withTestLimits(limits),
		},
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

// newAccount returns a user with a key and without rights.
func newAccount(login string, key gossh.PublicKey) acl.Account {
	return acl.Account{
		User: acl.User{Login: login, Groups: []acl.Group{{}}}, Keys: []authkeys.Key{{Public: key}},
	}
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
