package router

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/ops"
	"nomadctld/internal/safego"
)

// operationRunner starts operations, which continue after their session has ended. All sessions share it.
type operationRunner struct {
	operations    *ops.Registry
	audit         *audit.Log
	log           *slog.Logger
	writers       map[string]backends.ClusterWriter
	auditRequired bool // refuse operations whose start event cannot be written
}

// StartOperation starts work on req.Job in the background and returns it as an operation with its own end event. The
// operation continues after the session has ended. If another operation works on the job, it returns an
// *ops.BusyError. Only the values of ctx are used.
func (r *Request) StartOperation(ctx context.Context, work func(context.Context, ops.Operation) error) (*ops.Op, error) {
	runner := r.runner
	op, err := runner.operations.Start(r.opsJob(), r.User.Login, strings.Join(r.redacted.words, " "))
	if err != nil {
		return nil, err
	}
	r.Event.Operation = op.ID
	event := r.Event
	event.Decision = audit.Allowed
	if err := runner.audit.RecordStart(event, true, runner.auditRequired); err != nil {
		err = notRecordedError(err)
		op.Finish(err)
		return nil, err
	}
	event.Evaluations = slices.Clone(event.Evaluations)
	cluster := r.Cluster.(*scopedCluster)
	writer := &scopedWriter{owned: cluster.owned, writers: runner.writers, event: &event}
	op.OnFinish(func(err error) {
		if caught := (*safego.PanicError)(nil); errors.As(err, &caught) {
			runner.log.Error("panic", "operation", op.ID, "command", op.Command, "panic", caught.String())
		}
		event := writer.finalEvent(err)
		event.Error = r.redacted.redactError(event.Error)
		runner.audit.Record(event)
	})
	if ended, err := op.Finished(); !ended.IsZero() { // the gateway is shutting down
		return nil, err
	}
	own := &scopedCluster{owned: cluster.owned, clusters: cluster.clusters, event: new(audit.Event)}
	w := ops.Operation{Op: op, Cluster: own, Writer: writer}
	go func() { op.Finish(safego.Protect(func() error { return work(context.WithoutCancel(ctx), w) })) }()
	return op, nil
}

// CheckNoOperation returns an *ops.BusyError if an operation is running on req.Job.
func (r *Request) CheckNoOperation() error { return r.runner.operations.CheckNoOperation(r.opsJob()) }

// CheckNoPendingRestore returns an *ops.BusyError if an operation on req.Job has stopped or changed it and will
// register its saved definition again.
func (r *Request) CheckNoPendingRestore() error {
	return r.runner.operations.CheckNoPendingRestore(r.opsJob())
}

// opsJob converts req.Job to an ops.Job.
func (r *Request) opsJob() ops.Job {
	return ops.Job{Tier: r.Job.Tier, Namespace: r.Job.Namespace, ID: r.Job.ID, Root: r.Job.Root}
}

// OwnedOperations returns the operations on the user's jobs in the selected tier and namespace, and the saved
// definitions of such operations. Each list is sorted by age, the oldest first.
func (r *Request) OwnedOperations() (all []*ops.Op, saved []ops.SavedDefinition, err error) {
	tiers, err := r.Cluster.(*scopedCluster).tiers(r.Tier)
	if err != nil {
		return nil, nil, err
	}
	excluded := func(j ops.Job) bool {
		return !r.ownsJob(j) || !slices.Contains(tiers, j.Tier) || r.Namespace != "" && r.Namespace != j.Namespace
	}
	all = slices.DeleteFunc(r.runner.operations.Ops(), func(o *ops.Op) bool { return excluded(o.Job) })
	saved = r.runner.operations.Restorable()
	saved = slices.DeleteFunc(saved, func(s ops.SavedDefinition) bool { return excluded(s.Job) })
	return all, saved, nil
}

// DeleteDefinition deletes the saved definition of an operation on one of the user's jobs.
func (r *Request) DeleteDefinition(saved ops.SavedDefinition) error {
	if !r.ownsJob(saved.Job) {
		return errNotOwned
	}
	return r.runner.operations.DropByID(saved.ID)
}

// ownsJob reports whether the job is in the scope of the command.
func (r *Request) ownsJob(job ops.Job) bool {
	return r.Cluster.(*scopedCluster).owned.Owns(job.Tier, job.Namespace, job.Root)
}
