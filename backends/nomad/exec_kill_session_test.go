package nomad

import (
	"errors"
	"testing"

	"nomadctld/backends"
)

func TestKill_FindErrors(t *testing.T) {
	for text, want := range map[string]error{
		`rpc error: code = Unknown desc = Exec: "/bin/sh": stat /bin/sh: No such file or directory`: backends.ErrUnsupported,
		`exec: "/bin/sh": executable file not found in $PATH`:                                       backends.ErrUnsupported,
		"task is not running":    backends.ErrTaskNotRunning,
		"Permission denied":      backends.ErrForbidden,
		"No path to node":        backends.ErrUnreachable,
		"websocket: close 1006 ": backends.ErrUnreachable,
	} {
		if err := findError(errors.New(text)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", text, err, want)
		}
	}
}
