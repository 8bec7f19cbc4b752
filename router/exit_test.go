package router

import (
	"errors"
	"fmt"
	"testing"

	"nomadctld/backends"
)

func TestProgramResult(t *testing.T) {
	other := errors.New("no response")
	for name, tc := range map[string]struct {
		code     int
		err      error
		wantCode int
		wantText string // printed; empty: nothing
	}{
		"success":        {0, nil, 0, ""},
		"exit code":      {3, nil, 3, ""},
		"not found":      {0, fmt.Errorf("exec sh: %w", backends.ErrProgramNotFound), 127, "exec sh: program not found"},
		"not executable": {0, backends.ErrNotExecutable, 126, backends.ErrNotExecutable.Error()},
		"other":          {0, other, 1, "no response"},
		"limit":          {0, backends.ErrLimitReached, CodeTryLater, backends.ErrLimitReached.Error()},
	} {
		err := ProgramResult(tc.code, tc.err)
		text := ""
		for _, line := range ErrorLines(err) {
			text += line
		}
		if ExitCode(err) != tc.wantCode || text != tc.wantText && tc.err != nil {
			t.Errorf("%s: got %d, %q, want %d, %q", name, ExitCode(err), text, tc.wantCode, tc.wantText)
		}
	}
}
