package router

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// scopedOperations changes jobs in all tiers on behalf of one user and one command. It refuses jobs that the user
// does not own, and adds Nomad's evaluations and deployments to the audit event. It embeds nothing, so that a new
// method of backends.ClusterWriter does not compile until it is scoped here.
type scopedOperations struct {
	owned  acl.Scope
	byTier map[string]backends.ClusterWriter

	mu    sync.Mutex // guards event: several allocations may be restarted concurrently
	event *audit.Event
}

var _ backends.ClusterWriter = (*scopedOperations)(nil)

// callTier calls do with a tier's operations if the user owns the job.
func callTier[T any](o *scopedOperations, tier, namespace, root string,
	do func(backends.ClusterWriter) (T, error),
) (result T, err error) {
	if !o.owned.Owns(tier, namespace, root) {
		return result, errNotOwned
	}
	err = backends.Protect(func() (err error) {
		result, err = do(o.byTier[tier])
		return err
	})
	if err != nil {
		return result, &backends.TierError{Tier: tier, Err: err}
	}
	return result, nil
}

// change changes a job and records the result in the event.
func (o *scopedOperations) change(job backends.Job,
	do func(backends.ClusterWriter) (backends.WriteResult, error),
) (backends.WriteResult, error) {
	return o.recordOutcome(callTier(o, job.Tier, job.Namespace, job.Root, do))
}

// recordOutcome adds Nomad's evaluation and deployment to the event, and returns its arguments.
func (o *scopedOperations) recordOutcome(result backends.WriteResult, err error) (backends.WriteResult, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if result.EvaluationID != "" {
		o.event.Evaluations = append(o.event.Evaluations, result.EvaluationID)
	}
	if result.DeploymentID != "" {
		o.event.Deployment = result.DeploymentID
	}
	return result, err
}

// finalEvent returns the end event after everything has finished with err.
func (o *scopedOperations) finalEvent(err error) audit.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	event := *o.event
	event.Evaluations = slices.Clone(event.Evaluations)
	return endEvent(event, err)
}

func (o *scopedOperations) Stop(ctx context.Context, job backends.Job, purge bool) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Stop(ctx, job, purge) })
}

func (o *scopedOperations) CheckRegister(ctx context.Context, job backends.Job, definition json.RawMessage) error {
	_, err := callTier(o, job.Tier, job.Namespace, job.Root, func(c backends.ClusterWriter) (struct{}, error) {
		return struct{}{}, c.CheckRegister(ctx, job, definition)
	})
	return err
}

func (o *scopedOperations) Register(ctx context.Context, job backends.Job, definition json.RawMessage,
	index uint64,
) (backends.WriteResult, error) {
	// The definition must be of the job that was authorized.
	var names struct{ ID, Namespace string }
	if err := json.Unmarshal(definition, &names); err != nil || names.ID != job.ID || names.Namespace != job.Namespace {
		return backends.WriteResult{}, errNotOwned
	}
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Register(ctx, job, definition, index)
	})
}

func (o *scopedOperations) Scale(ctx context.Context, job backends.Job, group string,
	count int,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Scale(ctx, job, group, count)
	})
}

func (o *scopedOperations) StopAllocation(ctx context.Context, a backends.Allocation) (backends.WriteResult, error) {
	return o.recordOutcome(callTier(o, a.Tier, a.Namespace, a.Root,
		func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.StopAllocation(ctx, a) }))
}

func (o *scopedOperations) RestartTask(ctx context.Context, a backends.Allocation, task string) error {
	_, err := callTier(o, a.Tier, a.Namespace, a.Root,
		func(c backends.ClusterWriter) (struct{}, error) { return struct{}{}, c.RestartTask(ctx, a, task) })
	return err
}

func (o *scopedOperations) SignalTask(ctx context.Context, a backends.Allocation, task, signal string) error {
	_, err := callTier(o, a.Tier, a.Namespace, a.Root, func(c backends.ClusterWriter) (struct{}, error) {
		return struct{}{}, c.SignalTask(ctx, a, task, signal)
	})
	return err
}

func (o *scopedOperations) PromoteDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.PromoteDeployment(ctx, job, deployment)
	})
}

func (o *scopedOperations) FailDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.FailDeployment(ctx, job, deployment)
	})
}

func (o *scopedOperations) PauseDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.PauseDeployment(ctx, job, deployment)
	})
}

func (o *scopedOperations) ResumeDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.ResumeDeployment(ctx, job, deployment)
	})
}

func (o *scopedOperations) Revert(ctx context.Context, job backends.Job, version uint64) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Revert(ctx, job, version)
	})
}

func (o *scopedOperations) Evaluate(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Evaluate(ctx, job) })
}

func (o *scopedOperations) Force(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Force(ctx, job) })
}

func (o *scopedOperations) Dispatch(ctx context.Context, job backends.Job, meta map[string]string,
	payload []byte,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Dispatch(ctx, job, meta, payload)
	})
}
