package router

import (
	"context"
	"fmt"
	"strings"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// permit returns an error when the user may not use the command on any job.
func permit(req *Request, spec Spec) error {
	if spec.Target == TargetNone || req.User.May(spec.Name) {
		return nil
	}
	req.Event.Decision = audit.Denied
	return fmt.Errorf("%s is not among your commands: %s", spec.Name, strings.Join(names(req.Allowed()), ", "))
}

// authorize puts the part of the clusters on the request on which the user may run the command. Nothing else does.
func authorize(tiers []acl.Tier, clusters map[string]backends.Cluster) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			spec := req.Command.Spec()
			req.Event.Decision = audit.Allowed
			if spec.Target != TargetNone {
				req.Cluster = &scope{owned: req.User.Scope(spec.Name, tiers), clusters: clusters, event: &req.Event}
			}
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
