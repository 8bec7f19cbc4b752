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

// writer returns the writer of a tier.
func (o *scopedWriter) writer(tier string) backends.ClusterWriter { return o.writers[tier] }

// change changes a job and records the result in the event.
func (o *scopedWriter) change(job backends.JobRef,
	do func(backends.ClusterWriter) (backends.WriteResult, error),
) (backends.WriteResult, error) {
	return o.recordOutcome(guard(o.owned, o.writer, job, do))
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
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Stop(ctx, job, purge)
	})
}

func (o *scopedWriter) CheckRegister(ctx context.Context, job backends.Job, definition json.RawMessage) error {
	return guardError(o.owned, o.writer, job.Ref(), func(c backends.ClusterWriter) error {
		return c.CheckRegister(ctx, job, definition)
	})
}

func (o *scopedWriter) Register(ctx context.Context, job backends.Job, definition json.RawMessage,
	index uint64,
) (backends.WriteResult, error) {
	// The definition must be of the job that was authorized.
	var names struct{ ID, Namespace string }
	if err := json.Unmarshal(definition, &names); err != nil || names.ID != job.ID || names.Namespace != job.Namespace {
		return backends.WriteResult{}, errNotOwned
	}
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Register(ctx, job, definition, index)
	})
}

func (o *scopedWriter) Scale(ctx context.Context, job backends.Job, group string,
	count int,
) (backends.WriteResult, error) {
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Scale(ctx, job, group, count)
	})
}

func (o *scopedWriter) StopAllocation(ctx context.Context, a backends.Allocation) (backends.WriteResult, error) {
	return o.change(a.JobRef(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.StopAllocation(ctx, a)
	})
}

func (o *scopedWriter) RestartTask(ctx context.Context, a backends.Allocation, task string) error {
	return guardError(o.owned, o.writer, a.JobRef(), func(c backends.ClusterWriter) error {
		return c.RestartTask(ctx, a, task)
	})
}

func (o *scopedWriter) SignalTask(ctx context.Context, a backends.Allocation, task, signal string) error {
	return guardError(o.owned, o.writer, a.JobRef(), func(c backends.ClusterWriter) error {
		return c.SignalTask(ctx, a, task, signal)
	})
}

func (o *scopedWriter) PromoteDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.PromoteDeployment(ctx, job, deployment)
	})
}

func (o *scopedWriter) FailDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.FailDeployment(ctx, job, deployment)
	})
}

func (o *scopedWriter) PauseDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.PauseDeployment(ctx, job, deployment)
	})
}

func (o *scopedWriter) ResumeDeployment(ctx context.Context, job backends.Job,
	deployment string,
) (backends.WriteResult, error) {
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.ResumeDeployment(ctx, job, deployment)
	})
}

func (o *scopedWriter) Revert(ctx context.Context, job backends.Job, version uint64) (backends.WriteResult, error) {
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Revert(ctx, job, version)
	})
}

func (o *scopedWriter) Evaluate(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Evaluate(ctx, job)
	})
}

func (o *scopedWriter) Force(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Force(ctx, job)
	})
}

func (o *scopedWriter) Dispatch(ctx context.Context, job backends.Job, meta map[string]string,
	payload []byte,
) (backends.WriteResult, error) {
	return o.change(job.Ref(), func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Dispatch(ctx, job, meta, payload)
	})
}
