package router

import (
	"context"
	"fmt"
	"slices"

	"nomadctld/internal/cmdline"
)

// enforceCommand enforces the command of a certificate (force-command) or of a keys file (command=). That command runs
// if the client sends none, and the client may also send it. Unlike OpenSSH, it refuses any other command instead of
// running something else than what the user has typed.
func enforceCommand(aliases map[string]string) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			only := req.onlyCommand
			if only == nil {
				return next(ctx, req)
			}
			redacted := redactLine(*only, aliases)
			wanted, err := cmdline.Split(*only)
			if err != nil || len(wanted) == 0 {
				return req.Deny(fmt.Errorf("this login is restricted to a command that is not valid: %q", redacted.line))
			}
			words, err := cmdline.Split(req.Session.Line)
			if err != nil || len(words) > 0 && !slices.Equal(words, wanted) || req.Session.Subsystem {
				return req.Deny(fmt.Errorf("this login may only run: %s", redacted.line))
			}
			req.Session.Line, req.redacted, req.Event.Line = *only, redacted, redacted.line
			return next(ctx, req)
		}
	}
}
