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

// Operations is a command's access to operations on the user's jobs.
type Operations struct {
	runner *operationRunner
	scope  *scopedCluster
	target *Target // of the request
	user   string  // login
	line   redactedLine
	access *accessUse // of the command
}

// Start starts work on the target's job in the background and returns it as an operation with its own end event. The
// operation continues after the session has ended. If another operation works on the job, it returns an
// *ops.BusyError. Only the values of ctx are used.
func (o *Operations) Start(ctx context.Context, work func(context.Context, ops.Operation) error) (*ops.Op, error) {
	runner := o.runner
	op, err := runner.operations.Start(o.target.Job.Ref(), o.user, o.command())
	if err != nil {
		return nil, err
	}
	o.scope.event.Operation = op.ID
	event := *o.scope.event
	event.Decision = audit.Allowed
	if err := runner.audit.RecordStart(event, true, runner.auditRequired); err != nil {
		err = notRecordedError(err)
		op.Finish(err)
		return nil, err
	}
	event.Evaluations = slices.Clone(event.Evaluations)
	writer := &scopedWriter{owned: o.scope.owned, writers: runner.writers, event: &event}
	stop := func(error) { op.Halt("user " + o.user + " no longer has this access") }
	access := o.access.forOperation(stop)
	op.OnFinish(func(err error) {
		access.release()
		if caught := (*safego.PanicError)(nil); errors.As(err, &caught) {
			runner.log.Error("panic", "operation", op.ID, "command", op.Command, "panic", caught.String())
		}
		event := writer.finalEvent(err)
		event.Error = o.line.redactError(event.Error)
		runner.audit.Record(event)
	})
	if ended, err := op.Finished(); !ended.IsZero() { // the gateway is shutting down
		return nil, err
	}
	if err := access.recheck(); err != nil {
		stop(err)
	}
	own := &scopedCluster{
		owned: o.scope.owned, clusters: o.scope.clusters, event: new(audit.Event), secrets: secretFilter{originals: true},
	}
	w := ops.Operation{Op: op, Cluster: own, Writer: writer}
	go func() { op.Finish(safego.Protect(func() error { return work(context.WithoutCancel(ctx), w) })) }()
	return op, nil
}

// CheckNoneRunning returns an *ops.BusyError if an operation is running on the target's job.
func (o *Operations) CheckNoneRunning() error {
	return o.runner.operations.CheckNoOperation(o.target.Job.Ref())
}

// CheckNoPendingRestore returns an *ops.BusyError if an operation on the target's job has stopped or changed it and
// will register its saved definition again.
func (o *Operations) CheckNoPendingRestore() error {
	return o.runner.operations.CheckNoPendingRestore(o.target.Job.Ref())
}

// command returns the command line without secrets.
func (o *Operations) command() string { return strings.Join(o.line.words, " ") }

// Owned returns the operations on the user's jobs in the selected tier and namespace, and the saved definitions of such
// operations. Each list is sorted by age, the oldest first.
func (o *Operations) Owned(selection backends.Selection) (all []*ops.Op, saved []ops.SavedDefinition, err error) {
	tiers, err := o.scope.tiers(selection.Tier)
	if err != nil {
		return nil, nil, err
	}
	excluded := func(j backends.JobRef) bool {
		return !o.owns(j) || !slices.Contains(tiers, j.Tier) ||
			selection.Namespace != "" && selection.Namespace != j.Namespace
	}
	all = slices.DeleteFunc(o.runner.operations.Ops(), func(op *ops.Op) bool { return excluded(op.Job) })
	saved = o.runner.operations.Restorable()
	saved = slices.DeleteFunc(saved, func(s ops.SavedDefinition) bool { return excluded(s.Job) })
	return all, saved, nil
}

// DeleteDefinition deletes the saved definition of an operation on one of the user's jobs.
func (o *Operations) DeleteDefinition(saved ops.SavedDefinition) error {
	if !o.owns(saved.Job) {
		return errNotOwned
	}
	return o.runner.operations.DeleteByID(saved.ID)
}

// owns reports whether the job is in the scope of the command.
func (o *Operations) owns(job backends.JobRef) bool {
	return o.scope.owned.Owns(job)
}
