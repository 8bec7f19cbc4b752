package router

import (
	"context"
	"fmt"
	"strings"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// authorize decides whether the user may run the command and puts the part of the clusters on the request that
// is theirs. It is the only place where either happens.
func authorize(tiers []acl.Tier, clusters map[string]backends.Cluster) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			spec := req.Command.Spec()
			if spec.Target == TargetNone {
				req.Event.Decision = audit.Allowed
				return next(ctx, req)
			}
			if !req.User.May(spec.Name) {
				req.Event.Decision = audit.Denied
				return fmt.Errorf("%s is not among your commands: %s", spec.Name, strings.Join(names(req.Allowed()), ", "))
			}
			req.Event.Decision = audit.Allowed
			req.Cluster = &scope{owned: req.User.Scope(spec.Name, tiers), clusters: clusters, event: &req.Event}
			return next(ctx, req)
		}
	}
}

func names(specs []Spec) []string {
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name
	}
	return names
}
