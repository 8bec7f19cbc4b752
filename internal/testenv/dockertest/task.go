package dockertest

import (
	"bytes"
	"sync"
	"testing"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/nomadsim"
)

// RunTask starts the container of a task of a simulated cluster, with the name, the labels and the log settings that
// Nomad's docker driver gives it, and returns the container's ID. The container is removed after the test.
//
// As in Nomad, the output of the container is also written to the task's log files. Nomad follows Docker's log. RunTask
// attaches to the container, because a follower can miss output if Docker rotates its log faster than it is read.
func RunTask(t testing.TB, c *nomadsim.Cluster, allocation, task string, config docker.Config) (id string) {
	t.Helper()
	settings := c.Container(allocation, task)
	config.Labels = settings.Labels
	id = create(t, settings.Name, config, &docker.HostConfig{
		LogConfig: docker.LogConfig{Type: settings.LogDriver, Config: settings.LogOptions},
	})
	stdout := &lineWriter{write: func(p []byte) { c.Log(allocation, task, "stdout", p) }}
	stderr := &lineWriter{write: func(p []byte) { c.Log(allocation, task, "stderr", p) }}
	attached := make(chan struct{})
	output, err := Client(t).AttachToContainerNonBlocking(docker.AttachToContainerOptions{
		Container: id, Stream: true, Stdout: true, Stderr: true, RawTerminal: config.Tty, Success: attached,
		OutputStream: stdout, ErrorStream: stderr,
	})
	if err != nil {
		t.Fatalf("container %s: attach: %v", settings.Name, err)
	}
	<-attached
	attached <- struct{}{}
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		output.Wait()
		stdout.flush()
		stderr.flush()
	}()
	t.Cleanup(func() {
		output.Close()
		<-collected
	})
	start(t, id)
	return id
}

// maxLine is the size of Docker's line buffer. Docker logs longer lines in parts.
const maxLine = 16 << 10

// lineWriter passes on whole lines, as Docker's log does. A longer line is passed on when maxLine bytes are waiting.
type lineWriter struct {
	write   func([]byte)
	mu      sync.Mutex // guards pending: flush may run before the client's last Write has returned
	pending []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, p...)
	n := bytes.LastIndexByte(w.pending, '\n') + 1
	if len(w.pending)-n >= maxLine {
		n = len(w.pending)
	}
	if n > 0 {
		w.write(w.pending[:n])
		w.pending = append(w.pending[:0], w.pending[n:]...)
	}
	return len(p), nil
}

// flush passes on the last line if it has no newline.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) > 0 {
		w.write(w.pending)
		w.pending = nil
	}
}
