package router

import (
	"context"

	"nomadctld/internal/audit"
)

// auditStart writes the start event of a command, when its target and the decision are known and before it does
// anything. The event is synced to disk before a command that may change something or run a program.
func auditStart(next Handler) Handler {
	return func(ctx context.Context, req *Request) error {
		spec := req.Command.Spec()
		if spec.TracksProgram {
			req.Event.Program = req.Session.ProgramSession()
		}
		if err := req.writeStartEvent(spec.needsDurableStart()); err != nil {
			req.Event.Decision = audit.Failed
			return err
		}
		return next(ctx, req)
	}
}

// needsDurableStart reports whether the start event must be on disk before the command runs. That is so unless the
// command is Public or only reads.
func (s Spec) needsDurableStart() bool { return s.RightSet != Public && s.RightSet != Read }
