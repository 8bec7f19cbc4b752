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
	if spec.Set == Public || req.User.May(spec.Name) {
		return nil
	}
	req.Event.Decision = audit.Denied
	return fmt.Errorf("%s is not among your commands: %s", spec.Name, strings.Join(names(req.Allowed()), ", "))
}

// authorize puts the part of the clusters on the request on which the user may run the command, and the job or task
// that it is about. Nothing else does.
func authorize(tiers []acl.Tier, clusters map[string]*backends.SharedCluster, runtimes *Runtimes, background *background, raw *Raw) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			spec := req.Command.Spec()
			req.tiers, req.clusters = tiers, clusters
			if spec.Target == TargetNone {
				req.Event.Decision = audit.Allowed
				return next(ctx, req)
			}
			scope := &scope{owned: req.User.Scope(spec.Name, tiers), clusters: clusters, event: &req.Event, listed: background.dropStarted}
			req.Cluster, req.runtimes = scope, runtimes
			if spec.Set == Operate || spec.Set == Admin {
				req.Operations = &operations{owned: scope.owned, tiers: background.tiers, event: &req.Event}
				req.background = background
			}
			if spec.Set == Admin {
				req.raw = raw
			}
			if spec.Target >= TargetJob {
				req.Event.Decision = audit.Denied // until it is found among what is theirs
				if err := resolve(ctx, req, spec.Target); err != nil {
					return err
				}
				if req.Task != nil {
					req.Runtime = runtimes.of(scope, *req.Allocation, req.Task.Name)
				}
			}
			if req.found != nil {
				req.found()
			}
			req.Event.Decision = audit.Allowed
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
