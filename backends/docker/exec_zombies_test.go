package docker

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"nomadctld/internal/testenv/dockertest"

	"nomadctld/backends"
)

// TestZombies_AfterCutUpload cuts uploads. A shell as the main process reaps the child that the killed shell leaves
// behind; sleep does not. The partial upload must not be installed. The killed shell has two children, because it may
// reap the first one before it receives the signal.
func TestZombies_AfterCutUpload(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, Settings{Host: dockertest.Daemon(t)})
	cause := errors.New("the session ended")
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
		ready := writerFunc(func(p []byte) (int, error) { cancel(cause); return len(p), nil })
		_, err := d.Exec(ctx, in, backends.Program{
			Argv:  []string{"sh", "-c", "sleep 600 & (echo ready; exec cat >/tmp/new); mv /tmp/new /tmp/old"},
			Stdin: stdin, Stdout: ready, Stderr: io.Discard, Session: newAllocation(),
		})
		var zombies *backends.ZombiesError
		if !errors.Is(err, cause) || errors.As(err, &zombies) != c.zombies || c.zombies &&
			(zombies.Count < 1 || zombies.Count > 2 || !strings.Contains(err.Error(), "init = true")) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, code, err := run(t, d, in, backends.Program{Argv: []string{"test", "-e", "/tmp/old"}}); code != 1 ||
			err != nil {
			t.Errorf("%s: a partial upload was installed: %d, %v", name, code, err)
		}
	}
}
