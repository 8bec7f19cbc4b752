package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/testenv/dockertest"

	"nomadctld/backends"
)

// syncBuffer is a buffer that may be read while it is written.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *syncBuffer) waitFor(t *testing.T, want string) {
	t.Helper()
	for start := time.Now(); !strings.Contains(s.String(), want); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("got %q, want %q", s.String(), want)
		}
	}
}

// startTaskWith starts a container of a task with config.
func startTaskWith(t *testing.T, config dockerclient.Config, host *dockerclient.HostConfig) (backends.TaskRef, string) {
	t.Helper()
	in := backends.TaskRef{
		Task: "web", Node: Node{Name: "node-1"},
		Allocation: backends.Allocation{ID: newAllocation()},
	}
	config.Labels = labels(in.Allocation.ID)
	return in, dockertest.RunWith(t, "web-"+in.Allocation.ID, config, host)
}

type attachClient struct {
	out, err syncBuffer
	in       *io.PipeWriter
	cancel   context.CancelCauseFunc
	done     chan exitResult
}

func attach(t *testing.T, d *Docker, in backends.TaskRef, a backends.Attachment, input bool) *attachClient {
	t.Helper()
	client := &attachClient{done: make(chan exitResult, 1)}
	ctx, cancel := context.WithCancelCause(t.Context())
	client.cancel = cancel
	if input {
		a.Stdin, client.in = io.Pipe()
	}
	a.Stdout, a.Stderr = &client.out, &client.err
	go func() {
		code, err := d.Attach(ctx, in, a)
		client.done <- exitResult{code, err}
	}()
	t.Cleanup(func() { cancel(nil) })
	return client
}

func (a *attachClient) wait(t *testing.T) (int, error) {
	t.Helper()
	select {
	case e := <-a.done:
		return e.code, e.err
	case <-time.After(time.Minute):
		t.Fatal("the attachment does not end")
		return 0, nil
	}
}

const outputLoop = "while :; do echo out; echo err >&2; sleep 0.1; done"

func TestAttach_OutputAndExitCode(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, id := startTask(t, "sh", "-c", "trap 'echo bye; exit 7' TERM; "+outputLoop)
	a := attach(t, d, in, backends.Attachment{}, false)
	a.out.waitFor(t, "out\nout\n")
	a.err.waitFor(t, "err\nerr\n")
	go dockertest.Client(t).StopContainer(id, 10)
	if code, err := a.wait(t); code != 7 || err != nil || !strings.HasSuffix(a.out.String(), "bye\n") ||
		strings.Contains(a.out.String(), "err") {
		t.Errorf("got %d, %v, %q", code, err, a.out.String())
	}
	if _, err := d.Attach(t.Context(), in, backends.Attachment{}); !errors.Is(err, backends.ErrTaskNotRunning) {
		t.Errorf("afterwards: got %v", err)
	}
}

// TestAttach_SlowClientDoesNotBlockTask attaches a client that reads nothing until the task has written all of its 12
// MB.
func TestAttach_SlowClientDoesNotBlockTask(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	const megabytes = 12
	in, _ := startTask(t, "sh", "-c", "while [ ! -e /go ]; do echo ready; sleep 0.1; done; i=0; "+
		fmt.Sprintf("while [ $i -lt %d ]; do head -c 999999 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done; ",
			megabytes)+
		"touch /done; while [ ! -e /end ]; do sleep 0.1; done; echo bye; exit 4")
	succeeds := func(line string) bool {
		_, code, err := run(t, d, in, backends.Program{Argv: []string{"sh", "-c", line}})
		return code == 0 && err == nil
	}
	started, unblock := make(chan struct{}), make(chan struct{})
	onStart := sync.OnceFunc(func() { close(started) })
	var got, notes bytes.Buffer
	done := make(chan exitResult, 1)
	go func() {
		code, err := d.Attach(t.Context(), in, backends.Attachment{
			Stdout: io.Discard, Stderr: io.Discard, PlainStderr: &notes,
			PlainStdout: writerFunc(func(b []byte) (int, error) { onStart(); <-unblock; return got.Write(b) }),
		})
		done <- exitResult{code, err}
	}()
	select {
	case <-started: // output is missing otherwise
	case e := <-done:
		t.Fatalf("got %d, %v", e.code, e.err)
	}
	if !succeeds("touch /go; i=0; " +
		"while [ ! -e /done ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done; [ -e /done ]") {
		t.Error("the task waits for a client that reads nothing")
	}
	close(unblock)
	succeeds("touch /end")
	select {
	case e := <-done:
		if e.code != 4 || e.err != nil {
			t.Errorf("got %d, %v", e.code, e.err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the attachment does not end")
	}
	skipped := 0
	for note := range strings.SplitSeq(strings.TrimSpace(notes.String()), "\n") {
		n := 0
		if fmt.Sscanf(note, "nomadctld: skipped %d bytes here: this client reads too slowly", &n); n == 0 &&
			note != "" {
			t.Errorf("got notice %q", note)
		}
		skipped += n
	}
	for bytes.HasPrefix(got.Bytes(), []byte("ready\n")) {
		got.Next(len("ready\n"))
	}
	if total := got.Len() + skipped; skipped == 0 || total != megabytes*1_000_000+len("bye\n") ||
		!strings.HasSuffix(got.String(), "bye\n") {
		t.Errorf("got %d bytes and %q, want notices about the skipped rest", got.Len(), notes.String())
	}
}

func TestAttach_TaskOutlivesClient(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	cause := errors.New("left")
	in, _ := startTaskWith(t, dockerclient.Config{Cmd: []string{"cat"}, OpenStdin: true}, nil)
	for range 2 {
		a := attach(t, d, in, backends.Attachment{}, true)
		io.WriteString(a.in, "hello\n")
		a.out.waitFor(t, "hello\n")
		a.in.Close()
		time.Sleep(100 * time.Millisecond)
		a.cancel(cause)
		if _, err := a.wait(t); err != cause {
			t.Errorf("got %v, want %v", err, cause)
		}
	}
}

func TestAttach_InputRefused(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, _ := startTask(t, "sleep", "600")
	_, err := d.Attach(t.Context(), in, backends.Attachment{Stdin: strings.NewReader("")})
	if !errors.Is(err, backends.ErrUnsupported) || !strings.Contains(err.Error(), "interactive") {
		t.Errorf("closed: got %v", err)
	}
	in, _ = startTaskWith(t, dockerclient.Config{Cmd: []string{"cat"}, OpenStdin: true, StdinOnce: true}, nil)
	_, err = d.Attach(t.Context(), in, backends.Attachment{Stdin: strings.NewReader("")})
	if !errors.Is(err, backends.ErrUnsupported) {
		t.Errorf("once: got %v", err)
	}
}

func TestAttach_DetachKeysOptIn(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	in, id := startTaskWith(t, dockerclient.Config{
		Cmd: []string{
			"sh", "-c",
			"stty raw -echo; echo ready; while :; do dd bs=1 count=1 2>/dev/null | od -An -tx1; done",
		}, OpenStdin: true,
		Tty: true,
	}, nil)
	for out := ""; !strings.Contains(out, "ready"); time.Sleep(50 * time.Millisecond) {
		out, _, _ = readLog(t, d, in, backends.LogQuery{Stdout: true, Lines: -1})
	}
	a := attach(t, d, in, backends.Attachment{Terminal: terminalSize{123, 45}}, true)
	for key, want := range map[string]string{"\x10": "10", "\x11": "11", "\x03": "03", "q": "71"} {
		io.WriteString(a.in, key)
		a.out.waitFor(t, want)
	}
	a.cancel(io.EOF)
	a.wait(t)
	a = attach(t, d, in, backends.Attachment{Terminal: terminalSize{123, 45}, DetachKeys: "ctrl-p,ctrl-q"}, true)
	io.WriteString(a.in, "x")
	a.out.waitFor(t, "78")
	go func() { // the daemon recognizes the keys only if each arrives alone
		for key := 0; ; key = 1 - key {
			if _, err := io.WriteString(a.in, []string{"\x10", "\x11"}[key]); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	if _, err := a.wait(t); !errors.Is(err, backends.ErrDetached) {
		t.Errorf("got %v", err)
	}
	options := dockerclient.InspectContainerOptions{ID: id}
	c, err := dockertest.Client(t).InspectContainerWithOptions(options)
	if err != nil || !c.State.Running {
		t.Errorf("the task does not keep running: %+v, %v", c, err)
	}
	if out, _, err := run(t, d, in, backends.Program{Argv: []string{
		"sh", "-c",
		"stty size </proc/1/fd/0",
	}}); out != "45 123\n" || err != nil {
		t.Errorf("size: got %q, %v", out, err)
	}
}

func TestAttach_ConnectionLost(t *testing.T) {
	t.Parallel()
	addr, cut := dockertest.ProxyTCPWithCut(t, dockertest.Daemon(t))
	d := mustOpen(t, Settings{Host: "tcp://" + addr})
	in, _ := startTask(t, "sh", "-c", outputLoop)
	a := attach(t, d, in, backends.Attachment{}, false)
	a.out.waitFor(t, "out")
	cut()
	if _, err := a.wait(t); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}
