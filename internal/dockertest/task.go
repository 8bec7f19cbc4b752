package dockertest

import (
	"bytes"
	"testing"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/sim"
)

// RunTask starts the container of a task of a simulated cluster, with the name, the labels and the log settings that
// Nomad's docker driver gives it, and returns the container's ID. The container is removed with the test.
//
// As in Nomad, the output of the container is also written to the task's log files. Nomad follows Docker's log. RunTask
// attaches to the container, because a follower can miss output if Docker rotates its log faster than it is read.
func RunTask(t testing.TB, c *sim.Cluster, allocation, task string, config docker.Config) (id string) {
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

// maxLine is the size of Docker's buffer for a line: it logs longer lines in parts.
const maxLine = 16 << 10

// lineWriter passes on whole lines, as Docker's log does: the start of a line is passed on once it is maxLine long.
type lineWriter struct {
	write   func([]byte)
	pending []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
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
	if len(w.pending) > 0 {
		w.write(w.pending)
		w.pending = nil
	}
}
