package router

import "context"

// trackAccess stops a command when a change of the configuration takes away the access that it uses.
func trackAccess(running *Running, granted rules) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			ctx, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			req.access = running.track(granted, req.Session, cancel)
			defer req.access.release()
			if err := req.access.recheck(); err != nil {
				return req.Deny(err)
			}
			return next(ctx, req)
		}
	}
}
