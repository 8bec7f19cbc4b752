package nomad

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/internal/tlsfiles"
)

// execArgv runs a program without input and returns its output.
func execArgv(ctx context.Context, c *Client, in backends.TaskRef, argv ...string) (int, string, error) {
	out := &limitedBuffer{}
	code, err := c.Exec(ctx, in,
		backends.Program{Argv: argv, Session: randomHex(), Stdin: strings.NewReader(""), Stdout: out, Stderr: out})
	return code, out.String(), err
}

func TestExec_TLS(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			_, in := clusterTask(t, cluster, "p-team3-shell", "box")
			addr, files := dockertest.ProxyTLS(t, cluster.URL)
			byName := "https://localhost" + addr[strings.LastIndex(addr, ":"):]
			for name, tc := range map[string]struct {
				url string
				tls tlsfiles.Files
				ok  bool
			}{
				"valid":        {"https://" + addr, tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}, true},
				"by host name": {byName, tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}, true},
				"another server name": {
					"https://" + addr,
					tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key, ServerName: dockertest.ServerName},
					true,
				},
				"another CA": {
					"https://" + addr,
					tlsfiles.Files{CA: files.OtherCA, Cert: files.Cert, Key: files.Key},
					false,
				},
				"the system's CAs": {"https://" + addr, tlsfiles.Files{Cert: files.Cert, Key: files.Key}, false},
				"another name": {
					"https://" + addr,
					tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key, ServerName: "else"},
					false,
				},
				"no certificate": {"https://" + addr, tlsfiles.Files{CA: files.CA}, false},
				"not encrypted":  {"http://" + addr, tlsfiles.Files{}, false},
			} {
				c := open(t, Tier{URL: tc.url, TLS: tc.tls, TokenFile: nomadtest.TokenFile(t)})
				c.retryBackoff = time.Millisecond
				code, out, err := execArgv(context.Background(), c, in, "echo", "hi")
				if tc.ok && (err != nil || code != 0 || out != "hi\n") ||
					!tc.ok && (!errors.Is(err, backends.ErrUnreachable) || out != "") {
					t.Errorf("%s: got %d, %q, %v", name, code, out, err)
				}
				if err != nil && strings.Contains(err.Error(), "127.0.0.1:") {
					t.Errorf("%s: the error contains an address: %v", name, err)
				}
				_, err = readLog(t, c, in, backends.LogQuery{Stdout: true, Lines: -1})
				if tc.ok != (err == nil) {
					t.Errorf("%s: the log: %v", name, err)
				}
			}
		})
	}
}

// TestExec_NoNodeLookup checks that the library does not look up the node or connect to it. On a busy machine there may
// be a second exec, which kills the shell if the websocket is not finished in time.
func TestExec_NoNodeLookup(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			_, in := clusterTask(t, cluster, "p-team3-shell", "box")
			target, _ := url.Parse(cluster.URL)
			var mu sync.Mutex
			var paths []string
			proxy := httputil.NewSingleHostReverseProxy(target)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				paths = append(paths, r.URL.Path)
				mu.Unlock()
				proxy.ServeHTTP(w, r)
			}))
			defer server.Close()
			c := open(t, Tier{URL: server.URL, TokenFile: nomadtest.TokenFile(t)})
			if code, _, err := execArgv(context.Background(), c, in, "sh", "-c", "exit 3"); err != nil || code != 3 {
				t.Fatalf("got %d, %v", code, err)
			}
			mu.Lock()
			defer mu.Unlock()
			want := "/v1/client/allocation/" + in.Allocation.ID + "/exec"
			if len(paths) == 0 || len(slices.Compact(paths)) != 1 || paths[0] != want {
				t.Errorf("got requests %q, want only %q", paths, want)
			}
		})
	}
}

func TestExec_ConnectionLost(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			_, in := clusterTask(t, cluster, "p-team3-shell", "box")
			addr, cut := dockertest.ProxyTCPWithCut(t, cluster.URL)
			c := open(t, Tier{URL: "http://" + addr, TokenFile: nomadtest.TokenFile(t)})
			for _, terminal := range []backends.Terminal{nil, fixedTerminal{}} {
				read, write := io.Pipe()
				done := make(chan error, 1)
				go func() {
					_, err := c.Exec(context.Background(), in, backends.Program{
						Argv: []string{"sh", "-c", "echo ready; read x; echo $x"}, Session: randomHex(), Terminal: terminal,
						Stdin: read, Stderr: io.Discard,
						Stdout: writerFunc(func(b []byte) (int, error) {
							if bytes.Contains(b, []byte("ready")) {
								cut()
							}
							return len(b), nil
						}),
					})
					done <- err
				}()
				select {
				case err := <-done:
					if !errors.Is(err, backends.ErrUnreachable) || !strings.Contains(err.Error(), "exit code is unknown") {
						t.Errorf("got %v", err)
					}
				case <-time.After(time.Minute):
					t.Error("Exec hangs")
				}
				write.Close()
			}
		})
	}
}

func TestExec_ClusterUnreachable(t *testing.T) {
	t.Parallel()
	_, in := clusterTask(t, nomadtest.Simulated(t), "p-team3-shell", "box")
	for _, address := range []string{closedPort(t), silentPort(t)} {
		c := open(t, Tier{URL: "http://" + address})
		c.conns.handshakeTimeout = 100 * time.Millisecond
		start := time.Now()
		if _, _, err := execArgv(context.Background(), c, in, "true"); !errors.Is(err, backends.ErrUnreachable) ||
			time.Since(start) > time.Minute {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	}
}

// fixedTerminal is a terminal with a constant size.
type fixedTerminal struct{}

func (fixedTerminal) Size() (int, int)         { return 80, 24 }
func (fixedTerminal) Resized() <-chan struct{} { return nil }

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(b []byte) (int, error) { return w(b) }

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// silentPort returns the address of a server that never responds.
func silentPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestConnLimits(t *testing.T) {
	t.Parallel()
	cluster := nomadtest.Simulated(t)
	file := nomadtest.TokenFile(t)
	tiers, err := Open(Tier{Name: "a", URL: cluster.URL, TokenFile: file},
		Tier{Name: "b", URL: cluster.URL, TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	a, in := findTask(t, tiers["a"], "p-team3-shell", "box")
	b := tiers["b"]
	a.conns.programSlots.waitTimeout, a.conns.logSlots.waitTimeout = 100*time.Millisecond, 100*time.Millisecond
	ctx, cancel := context.WithCancelCause(context.Background())
	started := make(chan struct{}, maxPrograms)
	over := errors.New("over")
	var all sync.WaitGroup
	for i := range maxPrograms {
		all.Go(func() {
			_, err := a.Exec(backends.WithUser(ctx, fmt.Sprint("user", i%3)), in, backends.Program{
				Argv: []string{"sh", "-c", "echo ready; exec sleep 300"}, Session: randomHex(), Stdin: strings.NewReader(""),
				Stderr: io.Discard,
				Stdout: writerFunc(func(b []byte) (int, error) { started <- struct{}{}; return len(b), nil }),
			})
			if err != over {
				t.Errorf("got %v, want %v", err, over)
			}
		})
	}
	for range maxPrograms {
		<-started
	}
	start := time.Now()
	if _, _, err := execArgv(context.Background(), b, in, "true"); !errors.Is(err, backends.ErrLimitReached) ||
		time.Since(start) > time.Minute {
		t.Errorf("program above the limit: got %v after %s", err, time.Since(start))
	}
	if _, err := readLog(t, b, in, backends.LogQuery{Stdout: true}); err != nil {
		t.Errorf("log, with its own slots: got %v", err)
	}
	cancel(over) // signals have their own slots
	all.Wait()
	if code, _, err := execArgv(context.Background(), b, in, "true"); code != 0 || err != nil {
		t.Errorf("afterwards: got %d, %v", code, err)
	}
	for i := range maxLogs {
		if _, err := b.conns.logSlots.Acquire(backends.WithUser(context.Background(), fmt.Sprint("user", i%4)),
			1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readLog(t, a, in, backends.LogQuery{Stdout: true}); !errors.Is(err, backends.ErrLimitReached) {
		t.Errorf("log above the limit: got %v", err)
	}
	if peak, refused := cluster.Sim.Connections(); peak > 99 || refused > 0 {
		t.Errorf("%d connections at a time, %d refused", peak, refused)
	}
}

func TestExec_NoLeaks(t *testing.T) {
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			c, in := clusterTask(t, cluster, "p-team3-shell", "box")
			execArgv(context.Background(), c, in, "true")
			before := packageGoroutines()
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					for range 25 {
						ctx, cancel := context.WithCancel(context.Background())
						argv := [][]string{{"true"}, {"nope"}, {"sh", "-c", "echo x; exit 4"}, {"cat"}}[i%4]
						if i == 7 { // canceled while it is running
							argv = []string{"sleep", "300"}
							time.AfterFunc(30*time.Millisecond, cancel)
						}
						execArgv(ctx, c, in, argv...)
						cancel()
					}
				})
			}
			all.Wait()
			for start := time.Now(); packageGoroutines() > before; time.Sleep(20 * time.Millisecond) {
				if time.Since(start) > time.Minute {
					buffer := make([]byte, 1<<20)
					t.Fatalf("%d goroutines, %d before:\n%s", packageGoroutines(), before, buffer[:runtime.Stack(buffer, true)])
				}
			}
			if c.conns.programSlots.InUse() != 0 || c.conns.signalSlots.InUse() != 0 {
				t.Errorf("%d and %d slots are still in use", c.conns.programSlots.InUse(), c.conns.signalSlots.InUse())
			}
		})
	}
}

// packageGoroutines returns the number of goroutines of this package and of the library.
func packageGoroutines() (n int) {
	buffer := make([]byte, 8<<20)
	for stack := range strings.SplitSeq(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
		if strings.Contains(stack, "backends/nomad.(*") || strings.Contains(stack, "nomad/api.") {
			n++
		}
	}
	return n
}

// endlessReader never returns EOF and never blocks.
type endlessReader struct{}

func (endlessReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = "y\n"[i%2]
	}
	return len(b), nil
}

func TestExec_UnreadStdin(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			c, in := clusterTask(t, cluster, "p-team3-shell", "box")
			session := randomHex()
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					for range 10 {
						out := &limitedBuffer{}
						code, err := c.Exec(context.Background(), in, backends.Program{
							Argv: []string{"sh", "-c", "read x; echo $x; exit 3"}, Session: session, Stdin: endlessReader{}, Stdout: out,
							Stderr: out,
						})
						if code != 3 || err != nil || out.String() != "y\n" {
							t.Errorf("got %d, %v, %q", code, err, out.String())
						}
					}
				})
			}
			all.Wait()
			for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
				_, out, err := execArgv(context.Background(), c, in, "sh", "-c", "ps -eo args | grep -c [S]ESSION="+session)
				if err == nil && out == "0\n" {
					break
				}
				if time.Since(start) > 30*time.Second {
					t.Fatalf("shells still waiting for input: %s, %v", out, err)
				}
			}
		})
	}
}

func TestExec_StdoutFails(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			c, in := clusterTask(t, cluster, "p-team3-shell", "box")
			full := errors.New("full")
			_, err := c.Exec(context.Background(), in, backends.Program{
				Argv: []string{"sh", "-c", "echo x; exec sleep 300"}, Session: randomHex(), Stdin: strings.NewReader(""),
				Stderr: io.Discard,
				Stdout: writerFunc(func([]byte) (int, error) { return 0, full }),
			})
			if !errors.Is(err, full) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestExec_StdoutFailsAfterExit has stdout fail while the gateway kills the shell that waits for input after the exit.
func TestExec_StdoutFailsAfterExit(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			_, in := clusterTask(t, cluster, "p-team3-shell", "box")
			target, _ := url.Parse(cluster.URL)
			proxy := httputil.NewSingleHostReverseProxy(target)
			var execs atomic.Int32
			killing, failed := make(chan struct{}), make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/exec") && execs.Add(1) == 2 { // kills the shell
					close(killing)
					select {
					case <-failed:
					case <-r.Context().Done():
					}
				}
				proxy.ServeHTTP(w, r)
			}))
			defer server.Close()
			c := open(t, Tier{URL: server.URL, TokenFile: nomadtest.TokenFile(t)})
			full := errors.New("full")
			stdin, end := io.Pipe()
			defer end.Close()
			code, err := c.Exec(context.Background(), in, backends.Program{
				Argv: []string{"sh", "-c", "sleep 2 & echo x"}, Session: randomHex(), Stdin: stdin, Stderr: io.Discard,
				Stdout: writerFunc(func([]byte) (int, error) {
					select {
					case <-killing:
					case <-time.After(30 * time.Second):
						t.Error("the shell is not killed")
					}
					close(failed)
					return 0, full
				}),
			})
			if !errors.Is(err, full) {
				t.Errorf("got %d, %v", code, err)
			}
		})
	}
}

func TestExec_StdoutBlocks(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			c, in := clusterTask(t, cluster, "p-team3-shell", "box")
			ctx, cancel := context.WithCancelCause(context.Background())
			over, stuck := errors.New("over"), make(chan struct{})
			defer close(stuck)
			done := make(chan error, 1)
			go func() {
				_, err := c.Exec(ctx, in, backends.Program{
					Argv: []string{"sh", "-c", "while :; do echo x; done"}, Session: randomHex(), Stdin: strings.NewReader(""),
					Stderr: io.Discard,
					Stdout: writerFunc(func(b []byte) (int, error) { cancel(over); <-stuck; return len(b), nil }),
				})
				done <- err
			}()
			select {
			case err := <-done:
				if err != over {
					t.Errorf("got %v", err)
				}
			case <-time.After(time.Minute):
				t.Error("Exec hangs")
			}
		})
	}
}

func TestExec_Unsupported(t *testing.T) {
	t.Parallel()
	c, in := clusterTask(t, nomadtest.Simulated(t), "p-team3-shell", "box")
	for name, p := range map[string]backends.Program{
		"user":     {Argv: []string{"id"}, User: "0"},
		"variable": {Argv: []string{"id"}, Env: []string{"a.b=c"}},
		"empty":    {},
	} {
		if _, err := c.Exec(context.Background(), in, p); !errors.Is(err, backends.ErrUnsupported) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := c.Attach(context.Background(), in, backends.Attachment{}); !errors.Is(err, backends.ErrUnsupported) ||
		!strings.Contains(err.Error(), "Docker") {
		t.Errorf("attach: got %v", err)
	}
}

func TestExecResult_OutputLost(t *testing.T) {
	r := &programState{
		started: make(chan struct{}), running: make(chan struct{}), exited: make(chan struct{}),
		startState: 'R',
	}
	p := backends.Program{Argv: []string{"x"}}
	if _, err := r.result(p, outputs{}, &wrappedCommand{}, 0, nil); err == nil {
		t.Error("no marker: got no error")
	}
	close(r.started)
	if _, err := r.result(p, outputs{}, &wrappedCommand{}, 0, nil); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("no end marker: got %v", err)
	}
	if code, err := r.result(p, outputs{}, &wrappedCommand{}, 137, nil); code != 137 || err != nil {
		t.Errorf("the shell was killed: got %d, %v", code, err)
	}
	close(r.exited)
	r.exitCode = 5
	if code, err := r.result(p, outputs{}, &wrappedCommand{}, 0, errors.New("EOF")); code != 5 || err != nil {
		t.Errorf("both markers: got %d, %v", code, err)
	}
}

func TestExecResult_DockerStartError(t *testing.T) {
	for _, tc := range []struct {
		output string
		code   int
		err    error
	}{
		{"OCI runtime exec failed: exec failed: unable to start container process: exec: \"/nope\": " +
			"stat /nope: no such file or directory: unknown\r\n", 126, backends.ErrProgramNotFound},
		{"OCI runtime exec failed: exec failed: unable to start container process: exec: \"/x\": " +
			"permission denied: unknown\r\n", 126, backends.ErrNotExecutable},
		{"OCI runtime exec failed", 0, nil},
		{"OCI", 127, nil},
		{"", 126, nil},
	} {
		for i := range len(tc.output) + 1 {
			got := &limitedBuffer{}
			out := &directOutput{dst: got, onError: func(error) {}}
			out.Write([]byte(tc.output[:i]))
			out.Write([]byte(tc.output[i:]))
			code, err := directResult(backends.Program{Argv: []string{"x"}}, outputs{direct: out}, tc.code, nil)
			want := tc.output
			if tc.err != nil {
				want = ""
			}
			if !errors.Is(err, tc.err) || err == nil && code != tc.code || got.String() != want {
				t.Errorf("%q: got %d, %v, %q", tc.output, code, err, got.String())
			}
		}
	}
}
