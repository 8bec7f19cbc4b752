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

// operations change the jobs of all tiers as one user may for one command. What Nomad makes of an order goes into the
// event. It embeds nothing, so a method that is added to backends.ClusterWriter does not compile until it is scoped here.
type operations struct {
	owned acl.Scope
	tiers map[string]backends.ClusterWriter

	mu    sync.Mutex // several allocations may be restarted at a time
	event *audit.Event
}

var _ backends.ClusterWriter = (*operations)(nil)

// ask lets a tier do something to a job, if that is the user's.
func ask[T any](o *operations, tier, namespace, root string, do func(backends.ClusterWriter) (T, error)) (answer T, err error) {
	if !o.owned.Owns(tier, namespace, root) {
		return answer, errForeign
	}
	err = backends.Protect(func() (err error) {
		answer, err = do(o.tiers[tier])
		return err
	})
	if err != nil {
		return answer, &backends.TierError{Tier: tier, Err: err}
	}
	return answer, nil
}

// order gives an order about a job and notes what came of it.
func (o *operations) order(job backends.Job, do func(backends.ClusterWriter) (backends.WriteResult, error)) (backends.WriteResult, error) {
	return o.note(ask(o, job.Tier, job.Namespace, job.Root, do))
}

func (o *operations) note(outcome backends.WriteResult, err error) (backends.WriteResult, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if outcome.EvaluationID != "" {
		o.event.Evaluations = append(o.event.Evaluations, outcome.EvaluationID)
	}
	if outcome.DeploymentID != "" {
		o.event.Deployment = outcome.DeploymentID
	}
	return outcome, err
}

// noted returns the event as it is after all that was done, which has ended with err.
func (o *operations) noted(err error) audit.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	event := *o.event
	event.Evaluations = slices.Clone(event.Evaluations)
	return ended(event, err)
}

func (o *operations) Stop(ctx context.Context, job backends.Job, purge bool) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Stop(ctx, job, purge) })
}

func (o *operations) CheckRegister(ctx context.Context, job backends.Job, definition json.RawMessage) error {
	_, err := ask(o, job.Tier, job.Namespace, job.Root, func(c backends.ClusterWriter) (struct{}, error) {
		return struct{}{}, c.CheckRegister(ctx, job, definition)
	})
	return err
}

func (o *operations) Register(ctx context.Context, job backends.Job, definition json.RawMessage, index uint64) (backends.WriteResult, error) {
	// What is registered is the job that was authorized, whatever the definition says.
	var names struct{ ID, Namespace string }
	if err := json.Unmarshal(definition, &names); err != nil || names.ID != job.ID || names.Namespace != job.Namespace {
		return backends.WriteResult{}, errForeign
	}
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Register(ctx, job, definition, index)
	})
}

func (o *operations) Scale(ctx context.Context, job backends.Job, group string, count int) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Scale(ctx, job, group, count) })
}

func (o *operations) StopAllocation(ctx context.Context, a backends.Allocation) (backends.WriteResult, error) {
	return o.note(ask(o, a.Tier, a.Namespace, a.Root, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.StopAllocation(ctx, a) }))
}

func (o *operations) RestartTask(ctx context.Context, a backends.Allocation, task string) error {
	_, err := ask(o, a.Tier, a.Namespace, a.Root, func(c backends.ClusterWriter) (struct{}, error) { return struct{}{}, c.RestartTask(ctx, a, task) })
	return err
}

func (o *operations) SignalTask(ctx context.Context, a backends.Allocation, task, signal string) error {
	_, err := ask(o, a.Tier, a.Namespace, a.Root, func(c backends.ClusterWriter) (struct{}, error) {
		return struct{}{}, c.SignalTask(ctx, a, task, signal)
	})
	return err
}

func (o *operations) Promote(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Promote(ctx, job, deployment) })
}

func (o *operations) Fail(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Fail(ctx, job, deployment) })
}

func (o *operations) Pause(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Pause(ctx, job, deployment) })
}

func (o *operations) Resume(ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Resume(ctx, job, deployment) })
}

func (o *operations) Revert(ctx context.Context, job backends.Job, version uint64) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Revert(ctx, job, version) })
}

func (o *operations) Evaluate(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Evaluate(ctx, job) })
}

func (o *operations) Force(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) { return c.Force(ctx, job) })
}

func (o *operations) Dispatch(ctx context.Context, job backends.Job, meta map[string]string, payload []byte) (backends.WriteResult, error) {
	return o.order(job, func(c backends.ClusterWriter) (backends.WriteResult, error) {
		return c.Dispatch(ctx, job, meta, payload)
	})
}
