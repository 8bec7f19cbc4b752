package commands

import (
	"context"
	"errors"

	"nomadctld/internal/console"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

// followOp prints the progress of an operation until it finishes. If the session ends first, or on Ctrl-C, it requests
// that the operation stops after the current unit (batch or step). A second Ctrl-C detaches from the operation.
func followOp(ctx context.Context, req *router.Request, op *ops.Op, unit string) error {
	report := req.Console.NewProgressLine()
	defer report.Clear()
	shown, err := followUntilExit(ctx, report, op)
	if op.IsFinished() {
		return err
	}
	if req.Console.Terminal == nil || !errors.Is(err, console.ErrInterrupted) {
		op.Halt("the client disconnected")
		return err
	}
	code := router.ExitCode(err)
	op.Halt("cancelled with Ctrl-C")
	report.Printf("stopping after the current %s; press Ctrl-C again to detach while it finishes in the background "+
		"(see: ops %s)",
		unit, op.ID)
	ctx, detach := context.WithCancelCause(context.WithoutCancel(ctx))
	defer detach(nil)
	go func() {
		for presses := 0; presses < 2; { // the first Ctrl-C has not been read yet
			key, err := req.Console.Ask(ctx, "")
			if err != nil {
				break
			}
			if key == console.CtrlC {
				presses++
			}
		}
		detach(console.ErrInterrupted)
	}()
	err = op.Follow(ctx, func(n ops.Note) error {
		if !n.Transient && shown > 0 {
			shown--
			return nil
		}
		return report.Print(n.Text, n.Transient)
	})
	if err != nil {
		return router.Exit(code, err)
	}
	return nil
}

// followUntilExit prints the notes of an operation until it has finished or ctx is done. If the gateway is stopping, it
// continues, because the gateway finishes every operation before it exits. It returns the number of notes that it
// printed and that are not transient.
func followUntilExit(ctx context.Context, report *console.ProgressLine, op *ops.Op) (shown int, err error) {
	skip := 0
	each := func(n ops.Note) error {
		switch {
		case !n.Transient && skip > 0:
			skip--
			return nil
		case !n.Transient:
			shown++
		}
		return report.Print(n.Text, n.Transient)
	}
	err = op.Follow(ctx, each)
	if op.IsFinished() || !errors.Is(err, router.ErrGatewayStopping) {
		return shown, err
	}
	skip = shown
	if err = op.Follow(context.WithoutCancel(ctx), each); err != nil {
		err = router.Exit(router.ExitCode(err), err) // with a code, the error is not replaced by the reason for the stop
	}
	return shown, err
}
