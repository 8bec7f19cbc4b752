package router

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"nomadctld/acl"
)

// authenticate finds the user of the authenticated key or certificate, and refuses the command if Refusal is set. It
// does so for each command, not once for each connection, so that removing a user from the configuration, revoking a
// certificate and its expiry also affect open connections.
func authenticate(users *acl.Directory, tiers []acl.Tier) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			login, err := req.Session.login(users, time.Now())
			if err != nil {
				return req.Deny(err)
			}
			req.User, req.onlyCommand = User{login.User, tiers}, login.Command
			if req.Session.Refusal != nil {
				req.Event.Decision = RefusalDecision(req.Session.Refusal)
				return req.Session.Refusal
			}
			return next(withUser(ctx, login.User), req)
		}
	}
}

// login returns what the session's key or certificate grants at a time, or why it is no longer accepted.
func (s Session) login(users *acl.Directory, at time.Time) (acl.Login, error) {
	remote, _ := netip.ParseAddrPort(s.Remote) // an unknown address is in no network
	login, err := users.Find(acl.Proof{Login: s.Login, Key: s.Key, Remote: remote.Addr(), Time: at})
	if err != nil {
		return acl.Login{}, NoLongerAccepted(err)
	}
	return login, nil
}

// NoLongerAccepted returns the error for a client that has logged in, but would be refused now. reason is the error of
// Directory.Find. The client may see it, because it concerns only the client's own login.
func NoLongerAccepted(reason error) error {
	if errors.Is(reason, acl.ErrNoSuchUser) {
		return errors.New("your key is no longer accepted; ask the gateway's operator")
	}
	return fmt.Errorf("your login is no longer accepted: %w", reason)
}
