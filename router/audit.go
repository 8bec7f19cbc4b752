package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nomadctld/internal/audit"
)

// auditRequest writes the end event of each request, and one event for a request that is refused before it does anything.
// started writes the start event. When required is set, nothing is done without that.
func auditRequest(log *audit.Log, required bool, aliases map[string]string) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) (err error) {
			req.redacted = redactLine(req.Line, aliases)
			req.Event = audit.Event{
				Time: time.Now().UTC(), Connection: req.Connection, Session: req.Session, Remote: req.Remote,
				User: req.Login, Key: req.Fingerprint, Line: req.redacted.line, Command: []string{}, Decision: audit.Invalid,
			}
			if required { // no cluster is asked for what cannot run
				if err := log.Ready(); err != nil {
					log.ReportRefused(req.Event, err)
					return notRecordedError(err)
				}
			}
			req.writeStartEvent = func(durable bool) error {
				if err := log.RecordStart(req.Event, durable, required); err != nil {
					return notRecordedError(err)
				}
				return nil
			}
			panicked := true
			defer func() {
				event := endEvent(req.Event, err)
				event.Error = req.redacted.redactError(event.Error)
				if panicked {
					event.ExitCode, event.Error = 1, "panic"
				}
				log.Record(event)
			}()
			err = next(ctx, req)
			panicked = false
			return err
		}
	}
}

// auditStart writes the start event of a command: its target and the decision are known, and nothing has been done yet. It is
// synced to the disk before a command that may change something or run a program.
func auditStart(next Handler) Handler {
	return func(ctx context.Context, req *Request) error {
		spec := req.Command.Spec()
		if spec.TracksProgram {
			req.Event.Program = req.ProgramSession()
		}
		if err := req.writeStartEvent(spec.needsDurableStart()); err != nil {
			return err
		}
		return next(ctx, req)
	}
}

// needsDurableStart reports whether the start event must be on disk before the command runs: it may change something, run a program
// or see what others must not. Only commands that look are left out.
func (s Spec) needsDurableStart() bool { return s.Set != Public && s.Set != Read }

// notRecordedError is the error of a command that was not run because its start event could not be written. Its exit code is
// not taken for that of a program.
func notRecordedError(err error) error {
	return Exit(1, fmt.Errorf("nothing was run: %w; tell the gateway's operator", &auditWriteError{err}))
}

// auditWriteError keeps the reason, which names files of the gateway, from the user.
type auditWriteError struct{ err error }

func (e *auditWriteError) Error() string { return "the gateway cannot write its audit log" }
func (e *auditWriteError) Unwrap() error { return e.err }

// endEvent returns the event of something that has ended with err now.
func endEvent(event audit.Event, err error) audit.Event {
	event.Kind = audit.End
	event.Duration = time.Since(event.Time).Seconds()
	event.ExitCode = ExitCode(err)
	if len(ErrorLines(err)) > 0 {
		event.Error = err.Error()
	}
	var unrecorded *auditWriteError
	if errors.As(err, &unrecorded) {
		event.Error += ": " + unrecorded.err.Error()
	}
	return event
}
