package router

import (
	"context"
	"time"

	"nomadctld/internal/metrics"
)

// countRequests counts every request, with the decision of its end event. It wraps auditRequest, so that the time
// includes the audit log.
func countRequests(m *metrics.Recorder) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			started := time.Now()
			defer func() { m.CommandFinished(req.commandLabel(), string(req.Event.Decision), time.Since(started)) }()
			return next(ctx, req)
		}
	}
}

// commandLabel returns the name of the command if it is a registered one. Any other text is not a label, because
// clients could create any number of series.
func (r *Request) commandLabel() string {
	if len(r.Words) == 0 || commandTable[r.Words[0]] == nil || r.Session.Subsystem {
		return metrics.UnknownCommand
	}
	return r.Words[0]
}
