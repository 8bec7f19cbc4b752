package router

import (
	"context"
	"errors"

	"nomadctld/backends"
)

// handleInterrupts cancels the command on Ctrl-C, unless the command has claimed the input. If the command fails
// because its context has ended, it returns the cause instead of the error. It keeps an error that has its own exit
// code or reports processes that still exist, and joins an unknown outcome to the cause.
func handleInterrupts(next Handler) Handler {
	return func(ctx context.Context, req *Request) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer req.Console.InterruptOnCtrlC(req.Command.Spec().RunsProgram, cancel)()
		err := next(ctx, req)
		var running *backends.StillRunningError
		var zombies *backends.ZombiesError
		// The error includes the cause and reports processes that still exist.
		if errors.As(err, &running) || errors.As(err, &zombies) {
			return err
		}
		if cause := context.Cause(ctx); err != nil && cause != nil && !hasExitCode(err) {
			if errors.Is(err, backends.ErrOutcomeUnknown) { // keep the error: it reports a change whose outcome is unknown
				return Exit(ExitCode(cause), errors.Join(cause, err))
			}
			return cause
		}
		return err
	}
}
