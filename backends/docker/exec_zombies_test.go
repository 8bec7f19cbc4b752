package docker

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"nomadctld/internal/dockertest"

	"nomadctld/backends"
)

// TestZombies_AfterCutUpload has uploads that are cut. A shell as the first process reaps the child that the ended shell
// leaves; sleep does not. What was half there is not put in place. It is a child that reports to be ready.
// The shell has two, because the kernel may let it reap the first that has ended before it takes the signal that ends it.
func TestZombies_AfterCutUpload(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	why := errors.New("the session is over")
	for name, c := range map[string]struct {
		first   []string
		zombies bool
	}{
		"reaps":         {[]string{"sh", "-c", "while :; do sleep 0.1; done"}, false},
		"does not reap": {[]string{"sleep", "600"}, true},
	} {
		in, _ := startTask(t, c.first...)
		ctx, cancel := context.WithCancelCause(t.Context())
		stdin, typing := io.Pipe()
		defer typing.Close()
		ready := writerFunc(func(p []byte) (int, error) { cancel(why); return len(p), nil })
		_, err := d.Exec(ctx, in, backends.Program{
			Argv: []string{"sh", "-c", "sleep 600 & (echo ready; exec cat >/tmp/new); mv /tmp/new /tmp/old"}, Stdin: stdin, Stdout: ready, Stderr: io.Discard, Session: newAllocation(),
		})
		var zombies *backends.ZombiesError
		if !errors.Is(err, why) || errors.As(err, &zombies) != c.zombies || c.zombies && (zombies.Count < 1 || zombies.Count > 2 || !strings.Contains(err.Error(), "init = true")) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, code, err := run(t, d, in, backends.Program{Argv: []string{"test", "-e", "/tmp/old"}}); code != 1 || err != nil {
			t.Errorf("%s: half an upload was put in place: %d, %v", name, code, err)
		}
	}
}
