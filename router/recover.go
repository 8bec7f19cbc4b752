package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"nomadctld/internal/safego"
)

// recoverPanics turns a panic in the rest of the chain into an error of this request.
func recoverPanics(log *slog.Logger) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) (err error) {
			defer func() {
				if p := recover(); p != nil {
					log.Error("panic", "session", req.Session.ID, "line", req.Event.Line, "panic", fmt.Sprint(p), "stack",
						string(debug.Stack()))
					err = fmt.Errorf("internal error in session %s; the gateway's log has the details", req.Session.ID)
				}
			}()
			err = next(ctx, req)
			var caught *safego.PanicError
			if errors.As(err, &caught) {
				log.Error("panic", "session", req.Session.ID, "line", req.Event.Line, "panic", caught.String())
			}
			return err
		}
	}
}
