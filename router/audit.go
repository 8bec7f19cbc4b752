package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"nomadctld/internal/audit"
)

// audited writes one event for each request, whatever becomes of it. When required is set, a request that could
// not be recorded is not begun.
func audited(log *audit.Log, required bool, problems *slog.Logger) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) (err error) {
			if required {
				if err := log.Ready(); err != nil {
					problems.Error("audit log cannot be written; command refused", "session", req.Session, "error", err)
					return errors.New("nothing is done while the gateway cannot write its audit log; tell its operator")
				}
			}
			req.Event = audit.Event{
				Time: time.Now().UTC(), Connection: req.Connection, Session: req.Session, Remote: req.Remote,
				User: req.Login, Key: req.Fingerprint, Line: req.Line, Command: []string{}, Decision: audit.Invalid,
			}
			panicked := true
			defer func() {
				event := ended(req.Event, err)
				if panicked {
					event.ExitCode, event.Error = 1, "panic"
				}
				record(log, problems, event)
			}()
			err = next(ctx, req)
			panicked = false
			return err
		}
	}
}

// ended returns the event of something that has ended with err now.
func ended(event audit.Event, err error) audit.Event {
	event.Kind = audit.End
	event.Duration = time.Since(event.Time).Seconds()
	event.ExitCode = Code(err)
	if len(Lines(err)) > 0 {
		event.Error = err.Error()
	}
	return event
}

// record writes an event, or, where that cannot be done, tells the operator what would have been written.
func record(log *audit.Log, problems *slog.Logger, event audit.Event) {
	if err := log.Write(event); err != nil {
		problems.Error("audit event lost", "session", event.Session, "error", err, "event", fmt.Sprintf("%+v", event))
	}
}
