package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/tlsfiles"
)

// run runs a program until it exits and returns its stdout.
func run(t testing.TB, d *Docker, in backends.TaskRef, p backends.Program) (stdout string, code int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, stderr bytes.Buffer
	p.Session, p.Stdout, p.Stderr = newAllocation(), &out, &stderr
	code, err = d.Exec(ctx, in, p)
	return out.String(), code, err
}

func TestExec_ContainerNotRunning(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	client := dockertest.Client(t)
	program := backends.Program{Argv: []string{"echo", "x"}}

	in, id := startTask(t, "sleep", "600")
	if err := client.PauseContainer(id); err != nil {
		t.Fatal(err)
	}
	if out, _, err := run(t, d, in, program); out != "" || err == nil ||
		err.Error() != "the container of task web is paused" {
		t.Errorf("paused: got %q, %v", out, err)
	}
	if err := client.UnpauseContainer(id); err != nil {
		t.Fatal(err)
	}
	if err := client.StopContainer(id, 0); err != nil {
		t.Fatal(err)
	}
	if out, _, err := run(t, d, in, program); out != "" || !errors.Is(err, backends.ErrTaskNotRunning) ||
		err.Error() != "the container of task web is not running" {
		t.Errorf("stopped: got %q, %v", out, err)
	}
	dockertest.Remove(t, id)
	if out, _, err := run(t, d, in, program); out != "" || !errors.Is(err, backends.ErrTaskNotRunning) ||
		!errors.Is(err, ErrNoContainer) {
		t.Errorf("removed: got %q, %v", out, err)
	}
}

func TestExec_ContainerStops(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, id := startTask(t, "sleep", "600")
	time.AfterFunc(500*time.Millisecond, func() { dockertest.Client(t).StopContainer(id, 0) })
	if _, code, err := run(t, d, in, backends.Program{Argv: []string{"sleep", "300"}}); err == nil && code == 0 {
		t.Errorf("got %d, %v", code, err)
	}
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(b []byte) (int, error) { return w(b) }

func TestExec_ConnectionLostFails(t *testing.T) {
	t.Parallel()
	addr, cut := dockertest.ProxyTCPWithCut(t, dockertest.Daemon(t))
	d := mustOpen(t, Settings{Host: "tcp://" + addr})
	in, _ := startTask(t, "sleep", "600")
	for _, argv := range [][]string{
		{"sh", "-c", "echo; exec sleep 20"},
		{"cat", "/dev/zero"},
		{"sh", "-c", "echo; cat; sleep 20"},
	} {
		waiting, end := io.Pipe()
		defer end.Close()
		start := time.Now()
		onStart := sync.OnceFunc(func() { time.AfterFunc(200*time.Millisecond, cut) })
		output := writerFunc(func(b []byte) (int, error) { onStart(); return len(b), nil })
		code, err := d.Exec(t.Context(), in, backends.Program{
			Argv: argv, Stdin: waiting, Stdout: output,
			Stderr: io.Discard, Session: newAllocation(),
		})
		if took := time.Since(start); !errors.Is(err, ErrUnreachable) || !errors.Is(err, backends.ErrUnreachable) ||
			took > 15*time.Second {
			t.Errorf("%q: got %d, %v after %s", argv, code, err, took)
		} else if !strings.HasPrefix(err.Error(),
			"the Docker daemon of node node-1 cannot be reached: the connection was closed; the exit code of ") {
			t.Errorf("%q: got %v", argv, err)
		}
	}
}

// TestExec_SlowClientGetsAllOutput runs programs that exit while their last output is in transit to a client that
// pauses or reads slowly. Docker drops some of that output two seconds later. TLS delivers it in small chunks.
func TestExec_SlowClientGetsAllOutput(t *testing.T) {
	t.Parallel()
	addr, files := dockertest.ProxyTLS(t, dockertest.Daemon(t))
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	secured := mustOpen(t, Settings{Host: "tcp://" + addr, TLS: tlsfiles.Files{
		CA: files.CA, Cert: files.Cert,
		Key: files.Key,
	}})
	in, _ := startTask(t, "sleep", "600")
	lost := func(kib int) string {
		got, d := 0, d
		output := writerFunc(func(b []byte) (int, error) {
			if got == 0 {
				time.Sleep(5 * time.Second)
			}
			got += len(b)
			return len(b), nil
		})
		if kib%50 == 0 {
			d = secured
			output = func(b []byte) (int, error) {
				time.Sleep(time.Duration(len(b)) * time.Second / 300_000)
				got += len(b)
				return len(b), nil
			}
		}
		code, err := d.Exec(t.Context(), in, backends.Program{
			Argv:   []string{"sh", "-c", fmt.Sprintf("dd if=/dev/zero bs=1k count=%d 2>/dev/null; exit 3", kib)},
			Stdout: output, Stderr: io.Discard, Session: newAllocation(),
		})
		if got != kib<<10 || code != 3 || err != nil {
			return fmt.Sprintf("%d KiB: %d bytes missing, %d, %v", kib, kib<<10-got, code, err)
		}
		return ""
	}
	var all sync.WaitGroup
	for kib := 1100; kib <= 1500; kib += 25 {
		all.Go(func() {
			for try := 0; ; try++ {
				stall := measureStalls(t)
				what := lost(kib)
				switch stall := stall(); {
				case what == "":
					return
				// If the machine stalled, Docker may have dropped output before the gateway could read it: try again.
				case stall < 300*time.Millisecond || try == 3:
					t.Errorf("%s; the machine stalled for up to %s", what, stall)
					return
				}
			}
		})
	}
	all.Wait()
}

// measureStalls starts to measure how long this process is not scheduled. longest stops it and returns the maximum.
func measureStalls(t *testing.T) (longest func() time.Duration) {
	const tick = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan time.Duration, 1)
	go func() {
		var longest time.Duration
		for ctx.Err() == nil {
			start := time.Now()
			time.Sleep(tick)
			longest = max(longest, time.Since(start)-tick)
		}
		result <- longest
	}()
	return func() time.Duration { cancel(); return <-result }
}

// inContainer returns the command lines of the processes in a container.
func inContainer(t *testing.T, client *dockerclient.Client, id string) (commands []string) {
	top, err := client.TopContainer(id, "-eo%20pid,args") // the library does not encode it
	if err != nil {
		t.Errorf("cannot list the processes of the container: %v", err)
	}
	for _, p := range top.Processes {
		commands = append(commands, strings.Join(p[1:], " "))
	}
	return commands
}

// terminalSize is a terminal of a fixed size.
type terminalSize struct{ columns, rows int }

func (s terminalSize) Size() (int, int)         { return s.columns, s.rows }
func (s terminalSize) Resized() <-chan struct{} { return nil }

func TestExec_OldAPI(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t), API: "1.24"})
	in, _ := startTask(t, "sleep", "600")
	if out, code, err := run(t, d, in, backends.Program{
		Argv:        []string{"echo", "x"},
		OptionalEnv: []string{"TERM=vt100", "LANG=C.UTF-8"},
	}); out != "x\n" || code != 0 || err != nil {
		t.Errorf("got %q, %d, %v", out, code, err)
	}
	for want, p := range map[string]backends.Program{"1.25": {Env: []string{"A=b"}}, "1.35": {Dir: "/tmp"}} {
		p.Argv = []string{"true"}
		if _, _, err := run(t, d, in, p); !errors.Is(err, backends.ErrUnsupported) ||
			!strings.Contains(err.Error(), "needs "+want) || !strings.Contains(err.Error(), "dockerapi") {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestExec_TLS(t *testing.T) {
	t.Parallel()
	addr, files := dockertest.ProxyTLS(t, dockertest.Daemon(t))
	d := mustOpen(t, Settings{Host: "tcp://" + addr, TLS: tlsfiles.Files{CA: files.CA, Cert: files.Cert, Key: files.Key}})
	in, _ := startTask(t, "sleep", "600")
	content := strings.Repeat("0123456789abcdef", 1<<17)
	out, code, err := run(t, d, in, backends.Program{Argv: []string{"cat"}, Stdin: strings.NewReader(content)})
	if out != content || code != 0 || err != nil {
		t.Errorf("got %d bytes, %d, %v", len(out), code, err)
	}
	if out, code, err = run(t, d, in, backends.Program{
		Argv:  []string{"sh", "-c", "printf x; exit 3"},
		Stdin: strings.NewReader(""),
	}); out != "x" || code != 3 || err != nil {
		t.Errorf("got %q, %d, %v", out, code, err)
	}
}

// failingWriter fails after some writes, like the output of a client that disconnected.
type failingWriter struct{ after int }

var errWriteFailed = errors.New("write failed")

func (f *failingWriter) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errWriteFailed
	}
	return len(p), nil
}

func TestExec_OutputFailsKillsProgram(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, _ := startTask(t, "sleep", "600")
	p := backends.Program{
		Argv:   []string{"sh", "-c", "while :; do echo y; sleep 0.1; done"},
		Stdout: &failingWriter{20}, Stderr: io.Discard, Session: newAllocation(),
	}
	if _, err := d.Exec(t.Context(), in, p); !errors.Is(err, errWriteFailed) {
		t.Errorf("got %v, want %v", err, errWriteFailed)
	}
	if left, _, err := run(t, d, in, backends.Program{Argv: []string{"ps"}}); err != nil ||
		strings.Contains(left, "echo y") {
		t.Errorf("left: %s, %v", left, err)
	}
}

func TestExec_NoLeaks(t *testing.T) { testNoLeaks(t, 15) }

func TestExec_NoLeaksSoak(t *testing.T) {
	testenv.Soak(t)
	testNoLeaks(t, 75)
}

// testNoLeaks runs programs, n in each of four goroutines. It counts goroutines and files of the whole process, so no
// other test may run in parallel.
func testNoLeaks(t *testing.T, n int) {
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, _ := startTask(t, "sleep", "600")
	all := func(n int) {
		var running sync.WaitGroup
		for worker := range 4 {
			running.Go(func() {
				for i := range n {
					p := backends.Program{Argv: []string{"cat"}, Stdin: strings.NewReader("x")}
					if worker == 1 {
						p.Terminal = terminalSize{80, 24}
					}
					if worker == 2 && i%50 == 0 {
						p.Argv = []string{"nope"}
					} else if out, code, err := run(t, d, in, p); code != 0 || err != nil ||
						!strings.HasPrefix(out, "x") {
						t.Errorf("got %q, %d, %v", out, code, err)
					}
				}
			})
		}
		running.Wait()
		for _, known := range d.daemons {
			known.http.CloseIdleConnections()
		}
	}
	all(2)
	time.Sleep(200 * time.Millisecond)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	all(n)
	for start := time.Now(); runtime.NumGoroutine() > goroutines ||
		openFiles(t) > files; time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			stacks := make([]byte, 1<<20)
			t.Fatalf("goroutines: %d, were %d; files: %d, were %d\n%s", runtime.NumGoroutine(), goroutines,
				openFiles(t), files, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("cannot list open files:", err)
	}
	return len(files)
}

func TestExec_OutputClosedEarly(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, _ := startTask(t, "sleep", "600")
	for _, input := range []io.Reader{nil, strings.NewReader("x")} {
		out, code, err := run(t, d, in, backends.Program{Argv: []string{
			"sh", "-c",
			"echo x; exec >&- 2>&-; sleep 2; exit 5",
		}, Stdin: input})
		if out != "x\n" || code != 5 || err != nil {
			t.Errorf("got %q, %d, %v", out, code, err)
		}
	}
}

func TestExec_BackgroundChild(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, _ := startTask(t, "sleep", "600")
	start := time.Now()
	_, code, err := run(t, d, in, backends.Program{Argv: []string{
		"sh", "-c",
		"while :; do echo y; sleep 0.05; done & exit 5",
	}})
	if took := time.Since(start); code != 5 || err != nil || took > time.Minute {
		t.Errorf("got %d, %v after %s", code, err, took)
	}
}

// TestExec_User: the default is the image's user, not root.
func TestExec_User(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, _ := startTaskWith(t, dockerclient.Config{Cmd: []string{"sleep", "600"}, User: "nobody"}, nil)
	for user, want := range map[string]string{"": "65534\n", "0": "0\n"} {
		if out, code, err := run(t, d, in, backends.Program{Argv: []string{"id", "-u"}, User: user}); out != want ||
			code != 0 || err != nil {
			t.Errorf("user %q: got %q, %d, %v, want %q", user, out, code, err, want)
		}
	}
}
