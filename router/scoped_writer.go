package router

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/safego"
)

// scopedWriter changes jobs in all tiers on behalf of one user and one command. It refuses jobs that the user
// does not own, and adds Nomad's evaluations and deployments to the audit event. It embeds nothing, so that a new
// method of backends.ClusterWriter does not compile until it is scoped here.
type scopedWriter struct {
	owned   acl.Scope
	writers map[string]backends.ClusterWriter

	mu    sync.Mutex // guards event: several allocations may be restarted concurrently
	event *audit.Event
}

var _ backends.ClusterWriter = (*scopedWriter)(nil)

// callTier calls do with a tier's writer if the user owns the job.
func callTier[T any](o *scopedWriter, tier, namespace, root string,
	do func(backends.ClusterWriter) (T, error),
) (result T, err error) {
	if !o.owned.Owns(tier, namespace, root) {
		return result, errNotOwned
	}
	err = safego.Protect(func() (err error) {
		result, err = do(o.writers[tier])
		return err
	})
	if err != nil {
		return result, &backends.TierError{Tier: tier, Err: err}
	}
	return result, nil
}

// change changes a job and records the result in the event.
func (o *scopedWriter) change(job backends.Job,
	do func(backends.ClusterWriter) (backends.WriteResult, error),
) (backends.WriteResult, error) {
	return o.recordOutcome(callTier(o, job.Tier, job.Namespace, job.Root, do))
}

// recordOutcome adds Nomad's evaluation and deployment to the event, and returns its arguments.
func (o *scopedWriter) recordOutcome(result backends.WriteResult, err error) (backends.WriteResult, error) {
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

// finalEvent returns the end event of an operation that finished with err.
func (o *scopedWriter) finalEvent(err error) audit.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	event := *o.event
	event.Evaluations = slices.Clone(event.Evaluations)
	return endEvent(event, err)
}

func (o *scopedWriter) Stop(ctx context.Context, job backends.Job, purge bool) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Stop(ctx, job, purge) })
}

func (o *scopedWriter) CheckRegister(ctx context.Context, job backends.Job, definition json.RawMessage) error {
	_, err := callTier(o, job.Tier, job.Namespace, job.Root, func(c backends.ClusterWriter) (struct{}, error) {
		return struct{}{}, c.CheckRegister(ctx, job, definition)
	})
	return err
}

func (o *scopedWriter) Register(ctx context.Context, job backends.Job, definition json.RawMessage,
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

func (o *scopedWriter) Scale(ctx context.Context, job backends.Job, group string,
	count int,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Scale(ctx, job, group, count)
	})
}

func (o *scopedWriter) StopAllocation(ctx context.Context, a backends.Allocation) (backends.WriteResult, error) {
	return o.recordOutcome(callTier(o, a.Tier, a.Namespace, a.Root,
		func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.StopAllocation(ctx, a) }))
}

func (o *scopedWriter) RestartTask(ctx context.Context, a backends.Allocation, task string) error {
	_, err := callTier(o, a.Tier, a.Namespace, a.Root,
		func(c backends.ClusterWriter) (struct{}, error) { return struct{}{}, c.RestartTask(ctx, a, task) })
	return err
}

func (o *scopedWriter) SignalTask(ctx context.Context, a backends.Allocation, task, signal string) error {
	_, err := callTier(o, a.Tier, a.Namespace, a.Root, func(c backends.ClusterWriter) (struct{}, error) {
		return struct{}{}, c.SignalTask(ctx, a, task, signal)
	})
	return err
}

func (o *scopedWriter) PromoteDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.PromoteDeployment(ctx, job, deployment)
	})
}

func (o *scopedWriter) FailDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.FailDeployment(ctx, job, deployment)
	})
}

func (o *scopedWriter) PauseDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.PauseDeployment(ctx, job, deployment)
	})
}

func (o *scopedWriter) ResumeDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.ResumeDeployment(ctx, job, deployment)
	})
}

func (o *scopedWriter) Revert(ctx context.Context, job backends.Job, version uint64) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Revert(ctx, job, version)
	})
}

func (o *scopedWriter) Evaluate(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Evaluate(ctx, job) })
}

func (o *scopedWriter) Force(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Force(ctx, job) })
}

func (o *scopedWriter) Dispatch(ctx context.Context, job backends.Job, meta map[string]string,
	payload []byte,
) (backends.WriteResult, error) {
	return o.change(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Dispatch(ctx, job, meta, payload)
	})
}
