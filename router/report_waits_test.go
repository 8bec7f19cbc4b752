package router

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/console"
)

// TestReportWaits expects a line, not more than one in half a minute, and none after the command.
func TestReportWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		req := &Request{Console: &console.Console{Stdout: &stdout, Stderr: &stderr}}
		var after context.Context
		err := reportWaits(func(ctx context.Context, req *Request) error {
			after = ctx
			for i := range 4 {
				backends.ReportSlotWait(ctx, backends.SlotWait{Position: 4 - i, Waiting: 5})
				time.Sleep(15 * time.Second)
			}
			return nil
		})(t.Context(), req)
		time.Sleep(time.Minute)
		backends.ReportSlotWait(after, backends.SlotWait{Position: 1, Waiting: 1})
		want := "waiting for a free slot on the cluster: position 4 of 5\n" +
			"waiting for a free slot on the cluster: position 2 of 5\n"
		if err != nil || stderr.String() != want || stdout.Len() > 0 {
			t.Errorf("got %q on stderr, %q on stdout, %v, want %q on stderr", stderr.String(), stdout.String(), err, want)
		}
		backends.ReportSlotWait(t.Context(), backends.SlotWait{}) // without a function
	})
}
