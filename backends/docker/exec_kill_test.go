package docker

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
	"nomadctld/internal/terminate"
	"nomadctld/internal/testenv/dockertest"
)

// filteredDaemon is the daemon behind a proxy. The proxy forwards the requests for which filter returns true.
func filteredDaemon(t *testing.T, filter func(w http.ResponseWriter, r *http.Request) bool) (host string) {
	target, err := url.Parse(dockertest.Daemon(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial(target.Scheme, target.Host+target.Path)
		}},
		FlushInterval: -1,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if filter(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}

// forgettingDaemon is a daemon that forgets its execs when forget is called, like a daemon that was restarted while its
// containers kept running. It responds with 404 for the forgotten execs.
func forgettingDaemon(t *testing.T) (host string, forget func()) {
	var mu sync.Mutex
	known, forgotten := map[string]bool{}, map[string]bool{}
	ofExec := regexp.MustCompile(`/exec/([0-9a-f]+)/`)
	addr, cut := dockertest.ProxyTCPWithCut(t, filteredDaemon(t, func(w http.ResponseWriter, r *http.Request) bool {
		if found := ofExec.FindStringSubmatch(r.URL.Path); found != nil {
			mu.Lock()
			known[found[1]] = true
			forgot := forgotten[found[1]]
			mu.Unlock()
			if forgot {
				http.Error(w, `{"message":"No such exec instance"}`, http.StatusNotFound)
				return false
			}
		}
		return true
	}))
	return "tcp://" + addr, func() {
		mu.Lock()
		forgotten = maps.Clone(known)
		mu.Unlock()
		cut()
	}
}

func TestExecKill_DaemonRestarted(t *testing.T) {
	t.Parallel()
	client := dockertest.Client(t)
	host, forget := forgettingDaemon(t)
	d := mustOpen(t, Settings{Host: host})
	d.termination = quickTermination
	in, id := startTask(t, "sleep", "600")
	cause := errors.New("the session ended")
	for name, c := range map[string]struct {
		script string
		leave  bool
	}{
		"stream lost":             {"echo; exec sleep 301", false},
		"client disconnected":     {"echo; exec sleep 302", true},
		"ignores signals, killed": {"trap '' HUP TERM; echo; while :; do sleep 0.3; done; : 303", false},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		waiting, end := io.Pipe()
		defer end.Close()
		onStart := sync.OnceFunc(func() {
			if c.leave {
				defer cancel(cause)
			}
			forget()
		})
		output := writerFunc(func(b []byte) (int, error) { onStart(); return len(b), nil })
		_, err := d.Exec(ctx, in, backends.Program{
			Argv: []string{"sh", "-c", c.script}, Stdin: waiting,
			Stdout: output, Stderr: io.Discard, Session: newAllocation(),
		})
		var left *backends.StillRunningError
		if want := map[bool]error{true: cause, false: ErrUnreachable}[c.leave]; !errors.Is(err, want) ||
			errors.As(err, &left) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		// Its children, and the scripts that killed it, may exit a moment later.
		processes := inContainer(t, client, id)
		for end := time.Now().Add(30 * time.Second); len(processes) != 1 &&
			time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			processes = inContainer(t, client, id)
		}
		if len(processes) != 1 {
			t.Errorf("%s: got %q, want only the main process", name, processes)
		}
	}
}

// TestExecKill_SlowDaemon: on a busy node, each signal takes longer than the pauses between the signals.
func TestExecKill_SlowDaemon(t *testing.T) {
	t.Parallel()
	var execs atomic.Int32
	d := mustOpen(t, Settings{Host: filteredDaemon(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/exec") && execs.Add(1) > 1 {
			time.Sleep(1500 * time.Millisecond)
		}
		return true
	})})
	d.termination = terminate.Intervals{Grace: 100 * time.Millisecond}
	in, _ := startTask(t, "sleep", "600")
	waiting, end := io.Pipe()
	defer end.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the session ended")
	output := writerFunc(func(b []byte) (int, error) { cancel(cause); return len(b), nil })
	_, err := d.Exec(ctx, in, backends.Program{
		Argv:  []string{"sh", "-c", "trap '' HUP TERM; echo ready; while :; do sleep 0.1; done"},
		Stdin: waiting, Stdout: output, Stderr: io.Discard, Session: newAllocation(),
	})
	var left *backends.StillRunningError
	if !errors.Is(err, cause) || errors.As(err, &left) {
		t.Errorf("got %v, want %v", err, cause)
	}
}

func TestExecKill_DaemonUnreachable(t *testing.T) {
	t.Parallel()
	addr, kill := dockertest.ProxyTCPWithStop(t, dockertest.Daemon(t))
	d := mustOpen(t, Settings{Host: "tcp://" + addr})
	d.termination = quickTermination
	in, _ := startTask(t, "sleep", "600")
	waiting, end := io.Pipe()
	defer end.Close()
	onStart := sync.OnceFunc(func() { go kill() })
	output := writerFunc(func(b []byte) (int, error) { onStart(); return len(b), nil })
	_, err := d.Exec(t.Context(), in, backends.Program{
		Argv:  []string{"sh", "-c", "echo; exec sleep 20"},
		Stdin: waiting, Stdout: output, Stderr: io.Discard, Session: newAllocation(),
	})
	var left *backends.StillRunningError
	if !errors.Is(err, ErrUnreachable) || !errors.As(err, &left) {
		t.Errorf("got %v, want an unreachable daemon and a program that may still run", err)
	}
}

func TestExecKill_NoShellReportsProgram(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	d.termination = quickTermination
	in := backends.TaskRef{
		Task: "web", Node: Node{Name: "node-1"},
		Allocation: backends.Allocation{ID: newAllocation()},
	}
	id := dockertest.RunWith(t, "web-"+in.Allocation.ID, dockerclient.Config{
		Image: dockertest.BareImage(t), Labels: labels(in.Allocation.ID), Cmd: []string{"/bin/busybox", "sleep", "600"},
	}, nil)
	cause, client := errors.New("the session ended"), dockertest.Client(t)
	for name, c := range map[string]struct {
		argv     []string
		terminal backends.Terminal
		left     bool
	}{
		"exits at EOF":  {[]string{"/bin/busybox", "cat"}, nil, false},
		"exits at ^C":   {[]string{"/bin/busybox", "sleep", "300"}, terminalSize{80, 24}, false},
		"keeps running": {[]string{"/bin/busybox", "sleep", "301"}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				defer cancel(cause)
				for ctx.Err() == nil && !slices.Contains(inContainer(t, client, id), strings.Join(c.argv, " ")) {
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(500 * time.Millisecond) // then Docker has opened the stream
			}()
			waiting, end := io.Pipe()
			defer end.Close()
			_, err := d.Exec(ctx, in, backends.Program{
				Argv: c.argv, Terminal: c.terminal, Stdin: waiting,
				Stdout: io.Discard, Stderr: io.Discard, Session: newAllocation(),
			})
			var left *backends.StillRunningError
			switch {
			case !errors.Is(err, cause), errors.As(err, &left) != c.left:
				t.Errorf("got %v", err)
			case c.left && (!strings.Contains(err.Error(), "the container has no shell: /bin/busybox is process ") ||
				!strings.Contains(err.Error(), "on node node-1")):
				t.Errorf("got %v", err)
			}
		})
	}
}
