package router

import (
	"context"

	"nomadctld/internal/metrics"
)

// countRunning counts the running commands. It follows route, which finds the command.
func countRunning(m *metrics.Recorder) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			defer m.CommandStarted(req.commandLabel())()
			return next(ctx, req)
		}
	}
}
