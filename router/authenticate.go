package router

import (
	"context"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// authenticate finds the user of the authenticated key, and refuses the command if LimitErr is set. It looks the user
// up for each command, not once for each connection, so that removing a user from the configuration also affects open
// connections.
func authenticate(users *acl.Directory, tiers []acl.Tier) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			user, err := req.Session.user(users)
			if err != nil {
				return req.Deny(err)
			}
			req.User = User{user, tiers}
			if req.Session.LimitErr != nil {
				req.Event.Decision = audit.Denied
				return req.Session.LimitErr
			}
			return next(backends.WithUser(ctx, user.Login), req)
		}
	}
}
