package router

import (
	"context"
	"time"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/clusterview"
)

// authorize sets the clusters on the request, limited to the jobs on which the user may run the command, and the job
// or task that the command works on. No other code grants access to a cluster.
func authorize(clusters map[string]*clusterview.Shared, runtimes *RuntimeSelector, runner *operationRunner,
	raw *Raw,
) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, req *Request) error {
			spec := req.Command.Spec()
			access := &req.Access
			if spec.CompletesCommands {
				access.ClusterFor = clusterFor(req, clusters)
			}
			if spec.Target == TargetNone {
				req.Event.Decision = audit.Allowed
				return next(ctx, req)
			}
			scope := &scopedCluster{
				owned: req.User.scope(spec.Name), clusters: clusters, event: &req.Event,
				onList: runner.deleteOutdatedSaved, secrets: secretsFor(req),
			}
			access.Cluster, access.runtimes, access.target = scope, runtimes, &req.Target
			// Its event is not the command's, because another right must not change the command's decision.
			access.logs = &scopedCluster{owned: req.User.scope("logs"), clusters: clusters, event: new(audit.Event)}
			if spec.RightSet == Operate || spec.RightSet == Admin {
				access.Writer = &scopedWriter{owned: scope.owned, writers: runner.writers, event: &req.Event}
				access.Operations = &Operations{
					runner: runner, scope: scope, target: &req.Target, user: req.User.Login, line: req.redacted,
					access: req.access,
				}
			}
			if spec.RightSet == Admin {
				access.Raw = &RawAccess{raw: raw, scope: scope, user: req.User}
			}
			if spec.Target >= TargetJob {
				if err := resolve(ctx, req, spec.Target); err != nil {
					return err
				}
				if req.Target.Task != nil {
					access.Runtime = runtimes.forTask(scope, *req.Target.Allocation, req.Target.Task.Name)
				}
			}
			if err := trackTarget(req, scope.owned); err != nil {
				return req.Deny(err)
			}
			if access.onResolved != nil {
				access.onResolved()
			}
			req.Event.Decision = audit.Allowed
			defer scope.secrets.report(req.Console)
			return next(ctx, req)
		}
	}
}

// trackTarget records what the command uses of the user's access. owned are the jobs on which the user may run it.
func trackTarget(req *Request, owned acl.Scope) error {
	spec := req.Command.Spec()
	if spec.Target >= TargetJob {
		return req.access.onJob(spec.Name, req.Target.Job.Ref())
	}
	if tier, ok := owned.Tier(req.Selection.Tier); ok {
		owned = owned.Only(tier)
	}
	return req.access.onScope(spec.Name, owned)
}

// clusterFor returns the function for Access.ClusterFor.
func clusterFor(req *Request, clusters map[string]*clusterview.Shared) func(string) backends.Cluster {
	return func(command string) backends.Cluster {
		if !req.User.May(command) {
			return nil
		}
		return &scopedCluster{
			owned: req.User.scope(command), clusters: clusters, event: &req.Event, maxAge: time.Second,
		}
	}
}
