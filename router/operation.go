package router

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/ops"
)

// operationRunner is the work of all sessions that does not end with them.
type operationRunner struct {
	registry      *ops.Registry
	audit         *audit.Log
	log           *slog.Logger
	byTier        map[string]backends.ClusterWriter
	auditRequired bool // no operation starts without its start event
}

// Work is what an operation may use: the part of the clusters that is the user's who began it.
type Work struct {
	*ops.Op
	Cluster    backends.Cluster
	Operations backends.ClusterWriter

	runner *operationRunner
}

// NewWork returns the work of an operation of a registry.
func NewWork(op *ops.Op, registry *ops.Registry, cluster backends.Cluster, operations backends.ClusterWriter) Work {
	return Work{op, cluster, operations, &operationRunner{registry: registry}}
}

// SaveDefinition writes the definition of the operation's job, of that version, down where no end of the gateway loses it.
func (w Work) SaveDefinition(definition json.RawMessage, version uint64) error {
	return w.runner.registry.SaveForRestore(w.Op, definition, version)
}

// DeleteDefinition drops what Keep has written: the job is safe.
func (w Work) DeleteDefinition() error { return w.runner.registry.Drop(w.ID) }

// DefinitionPath returns the file that Keep writes.
func (w Work) DefinitionPath() string { return w.runner.registry.Path(w.ID) }

// StartOperation lets work go on whatever becomes of the session, as the operation that it returns; work's end is an event of its
// own. It is about req.Job: one that is worked on already gives an *ops.BusyError. ctx only lends its values.
func (r *Request) StartOperation(ctx context.Context, work func(context.Context, Work) error) (*ops.Op, error) {
	b := r.runner
	op, err := b.registry.Start(r.opsJob(), r.User.Login, strings.Join(r.redacted.words, " "))
	if err != nil {
		return nil, err
	}
	r.Event.Operation = op.ID
	event := r.Event
	event.Decision = audit.Allowed
	if err := b.audit.RecordStart(event, true, b.auditRequired); err != nil {
		err = notRecordedError(err)
		op.Finish(err)
		return nil, err
	}
	event.Evaluations = slices.Clone(event.Evaluations)
	theirs := r.Cluster.(*scopedCluster)
	orders := &scopedOperations{owned: theirs.owned, byTier: b.byTier, event: &event}
	op.OnFinish(func(err error) {
		if caught := (*backends.PanicError)(nil); errors.As(err, &caught) {
			b.log.Error("panic", "operation", op.ID, "command", op.Command, "panic", caught.String())
		}
		event := orders.finalEvent(err)
		event.Error = r.redacted.redactError(event.Error)
		b.audit.Record(event)
	})
	if ended, err := op.Finished(); !ended.IsZero() { // the gateway has stopped meanwhile
		return nil, err
	}
	w := Work{op, &scopedCluster{owned: theirs.owned, clusters: theirs.clusters, event: new(audit.Event)}, orders, b}
	go func() { op.Finish(backends.Protect(func() error { return work(context.WithoutCancel(ctx), w) })) }()
	return op, nil
}

// CheckNoOperation returns an *ops.BusyError if there is an operation on req.Job.
func (r *Request) CheckNoOperation() error { return r.runner.registry.Busy(r.opsJob()) }

// CheckNoPendingRestore returns an *ops.BusyError if there is an operation on req.Job that stops it and will bring it back.
func (r *Request) CheckNoPendingRestore() error { return r.runner.registry.RestorePending(r.opsJob()) }

func (r *Request) opsJob() ops.Job {
	return ops.Job{Tier: r.Job.Tier, Namespace: r.Job.Namespace, ID: r.Job.ID, Root: r.Job.Root}
}

// OwnedOperations returns the operations on jobs that are the user's, and the kept definitions of such jobs, of the tier and
// namespace that the command is about, each oldest first.
func (r *Request) OwnedOperations() (all []*ops.Op, kept []ops.SavedJob, err error) {
	tiers, err := r.Cluster.(*scopedCluster).tiers(r.Tier)
	if err != nil {
		return nil, nil, err
	}
	other := func(j ops.Job) bool {
		return !r.ownsJob(j) || !slices.Contains(tiers, j.Tier) || r.Namespace != "" && r.Namespace != j.Namespace
	}
	all = slices.DeleteFunc(r.runner.registry.Ops(), func(o *ops.Op) bool { return other(o.Job) })
	kept = slices.DeleteFunc(r.runner.registry.Restorable(), func(k ops.SavedJob) bool { return other(k.Job) })
	return all, kept, nil
}

// DeleteDefinition removes a kept definition that is the user's.
func (r *Request) DeleteDefinition(kept ops.SavedJob) error {
	if !r.ownsJob(kept.Job) {
		return errNotOwned
	}
	return r.runner.registry.Drop(kept.ID)
}

func (r *Request) ownsJob(job ops.Job) bool {
	return r.Cluster.(*scopedCluster).owned.Owns(job.Tier, job.Namespace, job.Root)
}
