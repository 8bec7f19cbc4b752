package router

import (
	"context"
	"errors"

	"nomadctld/backends"
)

func runCommand(ctx context.Context, req *Request) error { return req.Command.Run(ctx, req) }

// interruptOnCtrlC ends what comes after it at Ctrl-C, until the command reads them, and returns the cause when that
// fails because its context has ended, unless that has an exit code of its own.
func interruptOnCtrlC(next Handler) Handler {
	return func(ctx context.Context, req *Request) error {
		if req.Terminal != nil {
			var cancel context.CancelCauseFunc
			ctx, cancel = context.WithCancelCause(ctx)
			defer cancel(nil)
			keys := newTerminalInput(req.Stdin, req.Command.Spec().RunsProgram, func() { cancel(ErrInterrupted) })
			defer keys.close()
			req.Stdin = keys
		}
		err := next(ctx, req)
		var exit *ExitError
		var left *backends.StillRunningError
		var zombies *backends.ZombiesError
		if errors.As(err, &left) || errors.As(err, &zombies) { // it tells of the cause, and of what still runs or stays
			return err
		}
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.As(err, &exit) {
			if errors.Is(err, backends.ErrOutcomeUnknown) { // what became of an order is not to be lost
				return Exit(ExitCode(cause), errors.Join(cause, err))
			}
			return cause
		}
		return err
	}
}
