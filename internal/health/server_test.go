package health

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	broken := func() error { return full }
	ok := func() error { return nil }
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "series\n") })
	for _, test := range []struct {
		name, method, path string
		conditions         []Condition
		status             int
		body               string
	}{
		{"alive", "GET", "/healthz", []Condition{{"audit log", broken, nil}}, 200, "ok\n"},
		{
			"ready", "GET", "/readyz",
			[]Condition{{"ssh server", ok, nil}, {"audit log", ok, nil}},
			200,
			"ssh server: ok\naudit log: ok\n",
		},
		{
			"not ready", "GET", "/readyz",
			[]Condition{{"ssh server", ok, nil}, {"audit log", broken, nil}},
			503,
			"ssh server: ok\naudit log: no space left on device\n",
		},
		{
			"optional", "GET", "/readyz",
			[]Condition{{"audit log", broken, func() bool { return true }}},
			200,
			"audit log: no space left on device (not required)\n",
		},
		{"metrics", "GET", "/metrics", nil, 200, "series\n"},
		{"index", "GET", "/", nil, 200, "nomadctld: /metrics /healthz /readyz\n"},
		{"another path", "GET", "/debug/pprof/", nil, 404, "404 page not found\n"},
		{"another method", "POST", "/metrics", nil, 405, "Method Not Allowed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			response := httptest.NewRecorder()
			Handler(metrics, test.conditions...).ServeHTTP(response, httptest.NewRequest(test.method, test.path, nil))
			if response.Code != test.status || response.Body.String() != test.body {
				t.Errorf("got %d, %q, want %d, %q", response.Code, response.Body, test.status, test.body)
			}
		})
	}
}

func TestServe_UntilContextEnds(t *testing.T) {
	t.Parallel()
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- Serve(ctx, l, Handler(http.NotFoundHandler())) }()
	response, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("got %s", response.Status)
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		conn.Close()
		t.Error("the listener is still open")
	}
}

// TestLimitedListener_Full checks that a connection beyond the limit is served when another one is closed.
func TestLimitedListener_Full(t *testing.T) {
	t.Parallel()
	inner := listen(t)
	l := newLimitedListener(inner)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	open := func() {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	var first net.Conn
	for range maxConnections {
		open()
		first = <-accepted
	}
	open()
	if len(l.slots) != maxConnections {
		t.Errorf("got %d connections, want %d", len(l.slots), maxConnections)
	}
	first.Close()
	first.Close() // a second Close must not release another slot
	(<-accepted).Close()
	if len(l.slots) > maxConnections {
		t.Errorf("got %d connections, want at most %d", len(l.slots), maxConnections)
	}
	l.Close()
	l.Close()
	if conn, open := <-accepted; open {
		t.Errorf("got connection %v after Close", conn.RemoteAddr())
	}
}

func TestListen_UnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "metrics.sock")
	l, err := Listen(UnixPrefix + path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != socketMode {
		t.Errorf("got %v, %v, want mode %v", info.Mode(), err, os.FileMode(socketMode))
	}
	if _, err := Listen(UnixPrefix + path); err == nil || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("in use: got %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as after a crash
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("got %v, want a socket that was left behind", err)
	}
	l, err = Listen(UnixPrefix + path)
	if err != nil {
		t.Fatalf("a socket that was left behind: %v", err)
	}
	l.Close()
}

func TestListen_PathInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(UnixPrefix + path); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("the file was changed: %q, %v", text, err)
	}
}

// TestListen_OtherSocket checks that a socket of another program is not removed.
func TestListen_OtherSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "datagrams")
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := Listen(UnixPrefix + path); err == nil {
		t.Error("got no error")
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket was removed: %v", err)
	}
}
