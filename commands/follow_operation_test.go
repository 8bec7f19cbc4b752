package commands

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

// TestFollowUntilExit_GatewayStops expects the report that an operation makes after its session was canceled.
func TestFollowUntilExit_GatewayStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry, _ := ops.Open("")
		op, err := registry.Start(backends.JobRef{ID: "web"}, "wim", "restart web")
		if err != nil {
			t.Fatal(err)
		}
		op.Note("restarting 2 allocations")
		op.Progress("1 of 2")
		ctx, cancel := context.WithCancelCause(t.Context())
		var out bytes.Buffer
		report := (&console.Console{Stderr: &out}).NewProgressLine()
		var followErr error
		followed := make(chan struct{})
		go func() {
			_, followErr = followUntilExit(ctx, report, op)
			close(followed)
		}()
		synctest.Wait()
		cancel(router.ErrGatewayStopping)
		synctest.Wait()
		op.Note("restarted: web[0]")
		op.Finish(errors.New("the restart stopped after 1 of 2"))
		<-followed
		const want = "restarting 2 allocations\n1 of 2\nrestarted: web[0]\n"
		if out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
		if followErr == nil || followErr.Error() != "the restart stopped after 1 of 2" || router.ExitCode(followErr) != 1 {
			t.Errorf("got %v with exit code %d", followErr, router.ExitCode(followErr))
		}
	})
}

func TestFollowUntilExit_Disconnect(t *testing.T) {
	registry, _ := ops.Open("")
	op, err := registry.Start(backends.JobRef{ID: "web"}, "wim", "restart web")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(router.ErrClientDisconnected)
	report := (&console.Console{Stderr: new(bytes.Buffer)}).NewProgressLine()
	if _, err := followUntilExit(ctx, report, op); !errors.Is(err, router.ErrClientDisconnected) {
		t.Errorf("got %v, want %v", err, router.ErrClientDisconnected)
	}
}
