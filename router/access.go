package router

import (
	"context"
	"strings"
	"time"

	"nomadctld/backends"
)

// Access is what a command can reach. authorize sets only what the Spec asks for; everything else is nil.
type Access struct {
	Cluster    backends.Cluster       // limited to the jobs on which the user may run the command; nil for TargetNone
	Writer     backends.ClusterWriter // changes to these jobs; for commands of Operate and Admin
	Operations *Operations            // for commands of Operate and Admin
	Raw        *RawAccess             // for commands of Admin
	Runtime    TaskRuntime            // of Target.Task

	// ClusterFor returns the cluster limited to the jobs on which the user may run another command, or nil if there are
	// none. It is set for Spec.CompletesCommands.
	ClusterFor func(command string) backends.Cluster

	logs              *scopedCluster // the jobs whose logs the user may read
	runtimes          *RuntimeSelector
	target            *Target
	acquireResultSlot func(context.Context) (func(), error) // limitResults; nil: unlimited
	onResolved        func()                                // limitResults: called when the target is resolved; may be nil
}

// RuntimeOf returns the runtime of a task in an allocation of the target's job or of one of its child jobs. For any
// other allocation every call fails.
func (a *Access) RuntimeOf(allocation backends.Allocation, task string) TaskRuntime {
	job := a.target.Job
	isChild := allocation.Root == job.ID && strings.HasPrefix(allocation.JobID, job.ID+"/")
	if allocation.Tier != job.Tier || allocation.Namespace != job.Namespace || allocation.JobID != job.ID && !isChild {
		allocation = backends.Allocation{} // not owned by anybody
	}
	return a.runtimes.forTask(a.Cluster.(*scopedCluster), allocation, task)
}

// ReportHidden makes the gateway report, after the command, that the output has hidden values. A command calls it if it
// prints a check or an event with a hidden value. Values in definitions and versions are reported without it.
func (a *Access) ReportHidden() { a.Cluster.(*scopedCluster).secrets.setHidden(true) }

// LogReader reads the log of a task. See TaskRuntime.
type LogReader interface {
	Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error
	PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error
}

// LogOf returns the log of a task in an allocation of the target's job. It is nil if the user may not run logs on the
// job.
func (a *Access) LogOf(allocation backends.Allocation, task string) LogReader {
	job := a.target.Job
	if allocation.Tier != job.Tier || allocation.Namespace != job.Namespace || allocation.JobID != job.ID ||
		!a.logs.owns(allocation) {
		return nil
	}
	return a.runtimes.forTask(a.logs, allocation, task)
}

// AllowCached accepts cluster responses up to maxAge old, so that all users who watch the same jobs share one query.
func (a *Access) AllowCached(maxAge time.Duration) {
	if s, ok := a.Cluster.(*scopedCluster); ok {
		s.maxAge = maxAge
	}
}

// AcquireResultSlot waits for one of the user's slots for buffered results. The caller must call release.
func (a *Access) AcquireResultSlot(ctx context.Context) (release func(), err error) {
	if a.acquireResultSlot == nil {
		return func() {}, nil
	}
	return a.acquireResultSlot(ctx)
}
