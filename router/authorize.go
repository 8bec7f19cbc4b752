package router

import (
	"context"
	"fmt"
	"strings"

	"nomadctld/acl"
	"nomadctld/internal/audit"
	"nomadctld/internal/clusterview"
)

// checkAllowed returns an error unless the user may use the command on at least one job.
func checkAllowed(req *Request, spec Spec) error {
	if spec.RightSet == Public || req.User.May(spec.Name) {
		return nil
	}
	req.Event.Decision = audit.Denied
	return fmt.Errorf("%s is not among your commands: %s", spec.Name, strings.Join(specNames(req.AllowedCommands()), ", "))
}

// authorize sets the clusters on the request, limited to the jobs on which the user may run the command, and the job
// or task that the command works on. No other code grants access to a cluster.
func authorize(tiers []acl.Tier, clusters map[string]*clusterview.Shared, runtimes *RuntimeSelector,
	runner *operationRunner, raw *Raw,
) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			spec := req.Command.Spec()
			req.tiers, req.clusters = tiers, clusters
			if spec.Target == TargetNone {
				req.Event.Decision = audit.Allowed
				return next(ctx, req)
			}
			scope := &scopedCluster{
				owned: req.User.Scope(spec.Name, tiers), clusters: clusters, event: &req.Event,
				onList: runner.deleteOutdatedSaved,
			}
			req.Cluster, req.runtimes = scope, runtimes
			if spec.RightSet == Operate || spec.RightSet == Admin {
				req.Writer = &scopedWriter{owned: scope.owned, writers: runner.writers, event: &req.Event}
				req.runner = runner
			}
			if spec.RightSet == Admin {
				req.raw = raw
			}
			if spec.Target >= TargetJob {
				req.Event.Decision = audit.Denied // until the target is found among the user's jobs
				if err := resolve(ctx, req, spec.Target); err != nil {
					return err
				}
				if req.Task != nil {
					req.Runtime = runtimes.forTask(scope, *req.Allocation, req.Task.Name)
				}
			}
			if req.onResolved != nil {
				req.onResolved()
			}
			req.Event.Decision = audit.Allowed
			return next(ctx, req)
		}
	}
}

// specNames returns the names of commands.
func specNames(specs []Spec) []string {
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name
	}
	return names
}
