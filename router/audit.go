package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// auditRequest writes the end event of every request that it passes on. auditStart writes the start event of an
// accepted one, so the end event is the only event of a request that is refused before its command runs. If required is
// set, a command does not run unless its start event is written. If log.Ready fails too, auditRequest refuses the
// request without an event, and the gateway's log records that.
func auditRequest(log *audit.Log, required bool, aliases map[string]string) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) (err error) {
			req.redacted = redactLine(req.Session.Line, aliases)
			req.Event = audit.Event{
				Time: time.Now().UTC(), Connection: req.Session.Connection, Session: req.Session.ID, Remote: req.Session.Remote,
				User: req.Session.Login, Key: req.Session.Fingerprint, Certificate: req.Session.Certificate,
				Line: req.redacted.line, Command: []string{},
				Decision: audit.Invalid,
			}
			if required { // do not query a cluster for a command that cannot run
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
				req.Event.Decision = event.Decision // for countRequests
			}()
			err = next(ctx, req)
			panicked = false
			return err
		}
	}
}

// notRecordedError returns the error of a command that did not run because its start event could not be written. Its
// exit code is 1, also for commands that run a program.
func notRecordedError(err error) error {
	return Exit(1, fmt.Errorf("nothing was run: %w; tell the gateway's operator", &auditWriteError{err}))
}

// auditWriteError hides the reason, which contains paths of the gateway, from the user.
type auditWriteError struct{ err error }

func (e *auditWriteError) Error() string { return "the gateway cannot write its audit log" }
func (e *auditWriteError) Unwrap() error { return e.err }

// endEvent returns the end event of a request that has just ended with err.
func endEvent(event audit.Event, err error) audit.Event {
	event.Kind = audit.End
	event.Duration = time.Since(event.Time).Seconds()
	event.ExitCode = ExitCode(err)
	if errors.Is(err, backends.ErrLimitReached) { // a limit of programs or logs, checked while the command runs
		event.Decision = audit.Failed
	}
	if len(ErrorLines(err)) > 0 {
		event.Error = err.Error()
	}
	var unrecorded *auditWriteError
	if errors.As(err, &unrecorded) {
		event.Error += ": " + unrecorded.err.Error()
	}
	return event
}

// RefusalDecision returns the decision for a client that has logged in, but may not run commands: failed if that is
// because of a limit.
func RefusalDecision(err error) audit.Decision {
	if ExitCode(err) == CodeTryLater {
		return audit.Failed
	}
	return audit.Denied
}
