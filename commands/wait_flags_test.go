package commands

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"nomadctld/internal/console"
	"nomadctld/internal/monitor"
	"nomadctld/router"
)

func TestWaitFlags_PrintUp(t *testing.T) {
	failed := errors.New("failed")
	waiting := &monitor.AwaitsPromotionError{Job: "web", Deployment: "12345678-0", Canaries: 2}
	const text = "deployment 12345678 is waiting for promotion: 2 canaries are healthy " +
		"(promote it: promote web; fail it: fail web)\n"
	for _, tc := range []struct {
		err, want error
		text      string
	}{
		{nil, nil, "reverted web\n"},
		{failed, failed, ""},
		{fmt.Errorf("tier production: %w", waiting), nil, text},
	} {
		var stdout bytes.Buffer
		req := &router.Request{Console: &console.Console{Stdout: &stdout}}
		if err := new(waitFlags).printUp(req, tc.err, "reverted %s", "web"); err != tc.want || stdout.String() != tc.text {
			t.Errorf("%v: got %v and %q, want %v and %q", tc.err, err, stdout.String(), tc.want, tc.text)
		}
	}
}
