package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"

	"nomadctld/backends"
)

// readLog returns the two streams of a log as received.
func readLog(t *testing.T, d *Docker, in backends.TaskRef, q backends.LogQuery) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var text [2]bytes.Buffer
	err = d.Log(ctx, in, q, func(p backends.LogChunk) error {
		stream := 0
		if p.Stderr {
			stream = 1
		}
		text[stream].Write(p.Data)
		if (q.Timestamps || q.PreferTimes) && (p.Time.IsZero() || bytes.Count(p.Data, newline) > 1) {
			t.Errorf("chunk with time %s: %q", p.Time, p.Data)
		}
		return nil
	})
	return text[0].String(), text[1].String(), err
}

func finishedTask(t *testing.T, config dockerclient.Config, host *dockerclient.HostConfig) backends.TaskRef {
	t.Helper()
	in, id := startTaskWith(t, config, host)
	if _, err := dockertest.Client(t).WaitContainerWithContext(id, t.Context()); err != nil {
		t.Fatal(err)
	}
	return in
}

func TestLogTail_LastLines(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	// Few lines of stdout among many of stderr, and one that Docker splits into parts.
	script := `i=0; while [ $i -lt 5 ]; do echo out $i; i=$((i+1)); done; head -c 50000 /dev/zero | tr '\0' x; echo
		sleep 0.5; i=0; while [ $i -lt 500 ]; do echo err $i >&2; i=$((i+1)); done; sleep 0.5; echo last`
	long := strings.Repeat("x", 50000) + "\n"
	whole := "out 0\nout 1\nout 2\nout 3\nout 4\n" + long + "last\n"
	for _, tty := range []bool{false, true} {
		in := finishedTask(t, dockerclient.Config{Cmd: []string{"sh", "-c", script}, Tty: tty}, nil)
		for _, times := range []bool{false, true} {
			for lines, want := range map[int]string{
				-1: whole, 0: "", 1: "last\n", 2: long + "last\n",
				4: "out 3\nout 4\n" + long + "last\n", 7: whole, 100: whole,
			} {
				if tty && lines > 1 {
					continue // with a terminal there is only one stream
				}
				got, stderr, err := readLog(t, d, in, backends.LogQuery{
					Stdout: true, Lines: lines, Timestamps: times && lines%2 == 0, PreferTimes: times,
				})
				if tty {
					got = strings.ReplaceAll(got, "\r\n", "\n")
					if lines < 0 {
						var rest []string
						for line := range strings.Lines(got) {
							if !strings.HasPrefix(line, "err ") {
								rest = append(rest, line)
							}
						}
						got = strings.Join(rest, "")
					}
				}
				if got != want || stderr != "" || err != nil {
					t.Errorf("tty %v, times %v, %d lines: got %d bytes %.100q, %.100q, %v, want %d", tty, times,
						lines, len(got), got, stderr, err, len(want))
				}
			}
		}
		if !tty {
			if out, errors, err := readLog(t, d, in, backends.LogQuery{
				Stdout: true, Stderr: true,
				Lines: 3,
			}); out != "last\n" || errors != "err 498\nerr 499\n" || err != nil {
				t.Errorf("both: got %.100q, %q, %v", out, errors, err)
			}
			if out, errors, err := readLog(t, d, in, backends.LogQuery{Stderr: true, Lines: 1}); out != "" ||
				errors != "err 499\n" || err != nil {
				t.Errorf("stderr: got %q, %q, %v", out, errors, err)
			}
		}
	}
}

// TestLogTail_RareStream: if only a rare stream is requested, it is searched to the start.
func TestLogTail_RareStream(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	const lines = 20_000
	// The daemon reads each output separately, so the task writes one only after the other was read.
	script := fmt.Sprintf("trap go=1 HUP; await() { while [ -z \"$go\" ]; do sleep 0.05; done; go=; }; "+
		"echo early >&2; await; seq %d; await; echo late >&2; await; seq 5", lines)
	in, id := startTaskWith(t, dockerclient.Config{Cmd: []string{"sh", "-c", script}}, nil)
	for _, written := range []string{"early\n", fmt.Sprintln(lines), "late\n"} {
		testenv.Eventually(t, "the daemon has read "+written, func() bool {
			stdout, stderr, err := readLog(t, d, in, backends.LogQuery{Stdout: true, Stderr: true, Lines: 1})
			return err == nil && (strings.HasSuffix(stdout, written) || strings.HasSuffix(stderr, written))
		})
		dockertest.Signal(t, id, syscall.SIGHUP)
	}
	dockertest.Wait(t, id)
	for _, tc := range []struct {
		q              backends.LogQuery
		stdout         int // lines
		stderr         string
		stdoutLastLine string
	}{
		{backends.LogQuery{Stdout: true, Stderr: true, Lines: 5}, 5, "", "5\n"},
		{backends.LogQuery{Stdout: true, Stderr: true, Lines: 7}, 6, "late\n", "5\n"},
		{backends.LogQuery{Stdout: true, Stderr: true, Lines: 1000}, 999, "late\n", "5\n"},
		{backends.LogQuery{Stdout: true, Lines: 1000}, 1000, "", "5\n"},
		{backends.LogQuery{Stderr: true, Lines: 10}, 0, "early\nlate\n", ""},
		{backends.LogQuery{Stderr: true, Stdout: true, Lines: -1}, lines + 5, "early\nlate\n", "5\n"},
	} {
		stdout, stderr, err := readLog(t, d, in, tc.q)
		if strings.Count(stdout, "\n") != tc.stdout || !strings.HasSuffix(stdout, tc.stdoutLastLine) ||
			stderr != tc.stderr || err != nil {
			t.Errorf("%+v: got %d lines of stdout, %q, %v, want %d, %q", tc.q, strings.Count(stdout, "\n"), stderr, err,
				tc.stdout, tc.stderr)
		}
	}
}

func TestLog_Since(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in := finishedTask(t, dockerclient.Config{Cmd: []string{
		"sh", "-c",
		"echo 1; sleep 0.3; echo 2; sleep 0.3; echo 3",
	}}, nil)
	var times []time.Time
	err := d.Log(t.Context(), in, backends.LogQuery{Stdout: true, Lines: -1, Timestamps: true},
		func(p backends.LogChunk) error {
			times = append(times, p.Time)
			return nil
		})
	if err != nil || len(times) != 3 {
		t.Fatal(times, err)
	}
	for want, since := range map[string]time.Time{"1\n2\n3\n": times[0], "2\n3\n": times[1], "3\n": times[1].Add(1)} {
		if got, _, err := readLog(t, d, in, backends.LogQuery{Stdout: true, Lines: -1, Since: since}); got != want ||
			err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestLogFollow_EndsWithContainer(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	for _, tty := range []bool{false, true} {
		in, _ := startTaskWith(t, dockerclient.Config{Cmd: []string{
			"sh", "-c",
			"for i in 1 2 3 4 5; do echo $i; sleep 0.3; done; printf end",
		}, Tty: tty}, nil)
		got, _, err := readLog(t, d, in, backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, Follow: true})
		if got = strings.ReplaceAll(got, "\r", ""); got != "1\n2\n3\n4\n5\nend" || err != nil {
			t.Errorf("tty %v: got %q, %v", tty, got, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	in, _ := startTask(t, "sh", "-c", outputLoop)
	err := d.Log(ctx, in, backends.LogQuery{Stdout: true, Lines: 1, Follow: true}, func(backends.LogChunk) error {
		cancel(errWriteFailed)
		return nil
	})
	if err != errWriteFailed {
		t.Errorf("got %v, want %v", err, errWriteFailed)
	}
	if err := d.Log(t.Context(), in, backends.LogQuery{Stdout: true, Lines: -1, Follow: true},
		func(backends.LogChunk) error { return errWriteFailed }); err != errWriteFailed {
		t.Errorf("refused: got %v, want %v", err, errWriteFailed)
	}
}

func TestLogResume_ContinuesWhereCut(t *testing.T) {
	t.Parallel()
	addr, cut := dockertest.ProxyTCPWithCut(t, dockertest.Daemon(t))
	d := mustOpen(t, Settings{Host: "tcp://" + addr})
	const count = 400
	in, _ := startTaskWith(t, dockerclient.Config{Cmd: []string{"sh", "-c", fmt.Sprintf(
		"i=0; while [ $i -lt %d ]; do echo out $i; echo err $i >&2; i=$((i+1)); "+
			"[ $((i%%10)) = 0 ] && sleep 0.1; done", count)}}, nil)
	cutting, stop := context.WithCancel(t.Context())
	defer stop()
	onStart := sync.OnceFunc(func() { // earlier requests are not repeated
		go func() {
			for wait := 400 * time.Millisecond; cutting.Err() == nil; wait += 50 * time.Millisecond {
				time.Sleep(wait)
				cut()
			}
		}()
	})
	var stdout, stderr string
	err := d.Log(t.Context(), in, backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, Follow: true},
		func(p backends.LogChunk) error {
			onStart()
			if p.Stderr {
				stderr += string(p.Data)
			} else {
				stdout += string(p.Data)
			}
			return nil
		})
	var wantOut, wantErr strings.Builder
	for i := range count {
		fmt.Fprintf(&wantOut, "out %d\n", i)
		fmt.Fprintf(&wantErr, "err %d\n", i)
	}
	if stdout != wantOut.String() || stderr != wantErr.String() || err != nil {
		t.Errorf("got %d and %d bytes, %v, want %d and %d\n%s", len(stdout), len(stderr), err, wantOut.Len(),
			wantErr.Len(), stdout)
	}
}

func TestLogFollow_DaemonUnreachable(t *testing.T) {
	t.Parallel()
	addr, kill := dockertest.ProxyTCPWithStop(t, dockertest.Daemon(t))
	d := mustOpen(t, Settings{Host: "tcp://" + addr})
	d.timeouts.logRetry = time.Second
	in, _ := startTask(t, "sh", "-c", "echo on; exec sleep 600")
	got, caughtUp := "", false
	err := d.Log(t.Context(), in, backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, Follow: true},
		func(p backends.LogChunk) error {
			got += string(p.Data)
			if caughtUp = caughtUp || p.CaughtUp; caughtUp && got != "" {
				kill()
			}
			return nil
		})
	if got != "on\n" || !errors.Is(err, backends.ErrUnreachable) {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestLogFollow_Rotation follows a log while the daemon deletes its oldest file.
func TestLogFollow_Rotation(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	const count = 1200
	in, id := startTaskWith(t, dockerclient.Config{Cmd: []string{"sh", "-c", fmt.Sprintf(
		"trap go=1 HUP; echo ready; while [ -z \"$go\" ]; do sleep 0.1; done; "+
			"i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); "+
			"[ $((i%%10)) = 0 ] && sleep 0.05; done; sleep 1", count)}},
		&dockerclient.HostConfig{LogConfig: dockerclient.LogConfig{
			Type:   "json-file",
			Config: map[string]string{"max-size": "20k", "max-file": "3"},
		}})
	got := ""
	ready := sync.OnceFunc(func() { dockertest.Signal(t, id, syscall.SIGHUP) })
	err := d.Log(t.Context(), in, backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, Follow: true},
		func(p backends.LogChunk) error {
			if got += string(p.Data); got != "" {
				ready()
			}
			return nil
		})
	got, ok := strings.CutPrefix(got, "ready\n")
	next := 0
	for line := range strings.Lines(got) {
		if want := fmt.Sprintf("line %d\n", next); line != want {
			t.Fatalf("got %q, want %q", line, want)
		}
		next++
	}
	if next != count || err != nil || !ok {
		t.Errorf("got %d lines of %d, %v", next, count, err)
	}
	if kept, _, _ := readLog(t, d, in, backends.LogQuery{Stdout: true, Lines: -1}); len(kept) >= len(got) {
		t.Errorf("%d bytes of %d are stored: the log was not rotated", len(kept), len(got))
	}
}

func TestLog_DriverStoresNone(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, id := startTaskWith(t, dockerclient.Config{Cmd: []string{"sleep", "600"}},
		&dockerclient.HostConfig{LogConfig: dockerclient.LogConfig{Type: "none"}})
	for _, q := range []backends.LogQuery{{Stdout: true, Lines: 5}, {Stderr: true, Lines: -1, Follow: true}} {
		if _, _, err := readLog(t, d, in, q); !errors.Is(err, backends.ErrLogNotStored) {
			t.Errorf("%+v: got %v", q, err)
		}
	}
	dockertest.Remove(t, id)
	if _, _, err := readLog(t, d, in, backends.LogQuery{Stdout: true, Lines: 5}); !errors.Is(err,
		backends.ErrNoLog) || !errors.Is(err, ErrNoContainer) {
		t.Errorf("removed: got %v", err)
	}
}

func TestLog_LongLineMemory(t *testing.T) { testLongLine(t, 100<<20) }

func TestLog_LongLineMemorySoak(t *testing.T) {
	testenv.Soak(t)
	testLongLine(t, 1<<30)
}

// testLongLine reads one long line, and checks that little of it is in memory.
func testLongLine(t *testing.T, size int) {
	testenv.NoRace(t, "measures memory")
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	for _, tty := range []bool{false, true} {
		in := finishedTask(t, dockerclient.Config{Cmd: []string{
			"sh", "-c",
			fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x", size),
		}, Tty: tty}, nil)
		for _, q := range []backends.LogQuery{{Stdout: true, Lines: -1}, {Stdout: true, Lines: 10, Timestamps: true}} {
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var maxHeap uint64
			var got int
			chunks := 0
			err := d.Log(t.Context(), in, q, func(p backends.LogChunk) error {
				got += len(p.Data)
				if chunks++; chunks%2000 == 0 {
					runtime.ReadMemStats(&now)
					maxHeap = max(maxHeap, now.HeapAlloc)
				}
				return nil
			})
			if got != size || err != nil {
				t.Errorf("tty %v, %+v: got %d bytes, %v", tty, q, got, err)
			}
			if maxHeap > before.HeapAlloc+32<<20 {
				t.Errorf("tty %v, %+v: %d MiB", tty, q, (maxHeap-before.HeapAlloc)>>20)
			}
		}
	}
}
