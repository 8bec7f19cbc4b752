package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
	"nomadctld/router"
)

// rolling restarts allocations of a job, a batch at a time.
type rolling struct {
	job           backends.JobDetail
	targets       []target
	batchSize     int
	wait, timeout time.Duration
	replace       bool // by other allocations
	ignoreChecks  bool // do not wait for what services say of themselves

	failed          []backends.Allocation // to be replaced before anything is restarted
	unreschedulable []backends.Allocation // likewise, of groups in which Nomad may replace none
	missing         map[string]int        // by group: allocations that are missing, and that Nomad does nothing about

	skipped []backends.Allocation // that cannot be restarted: pending, or on a disconnected node

	restarted   []target // that came up again
	unconfirmed []target // that were told to restart, of the batch at hand

	nextTarget int // of the targets: the first of the batch at hand
}

const (
	minUptime     = 2 * time.Second // tasks have to run so long to count as come up
	checksTimeout = 5 * time.Second

	maxParallelRequests = 4 // each takes as long as its tasks take to end, and a connection to the cluster
)

func (r *rolling) restartAll(ctx context.Context, w router.Work) error {
	if err := r.replaceFailed(ctx, w); err != nil {
		return err
	}
	if err := r.placeMissing(ctx, w); err != nil {
		return fmt.Errorf("the restart of %s stopped before anything was restarted: %w", r.job.ID, err)
	}
	if len(r.skipped) > 0 {
		w.Note("skipping %s of %s: %s", plural(len(r.skipped), "allocation"), r.job.ID, skippedText(r.skipped))
	}
	if len(r.targets) == 0 {
		return nil
	}
	w.Note("restarting %s of %s, %d at a time", plural(len(r.targets), "allocation"), r.job.ID, min(r.batchSize, len(r.targets)))
	for batch := range slices.Chunk(r.targets, r.batchSize) {
		r.unconfirmed = nil
		now, err := r.beforeBatch(ctx, w)
		if err == nil {
			batch = r.refreshTargets(w, now, batch)
			err = r.restartBatch(ctx, w, batch)
		}
		if err != nil {
			return r.explainStop(w, err)
		}
		r.nextTarget += r.batchSize
		if len(batch) > 0 {
			r.restarted = append(r.restarted, batch...)
			w.Note("%d of %d restarted: %s", len(r.restarted), len(r.targets), targetNames(batch))
		}
	}
	left := ""
	if len(r.skipped) > 0 {
		left = fmt.Sprintf(", skipped %d", len(r.skipped))
	}
	w.Note("restarted %s of %s%s", plural(len(r.restarted), "allocation"), r.job.ID, left)
	return nil
}

// explainStop says what is restarted and what is not, and returns err.
func (r *rolling) explainStop(w router.Work, err error) error {
	w.Note("restarted: %s", targetNames(r.restarted))
	if len(r.unconfirmed) > 0 {
		w.Note("not come up, or not known to have: %s", targetNames(r.unconfirmed))
	}
	w.Note("not restarted: %s", targetNames(slices.DeleteFunc(slices.Clone(r.targets[r.nextTarget:]), func(t target) bool {
		return slices.ContainsFunc(r.unconfirmed, func(b target) bool { return b.ID == t.ID })
	})))
	return fmt.Errorf("the restart of %s stopped after %d of %d allocations: %w", r.job.ID, len(r.restarted), len(r.targets), err)
}

// beforeBatch waits before a batch, unless it is the first one, and returns the job as it is then: still what it was.
func (r *rolling) beforeBatch(ctx context.Context, w router.Work) (now backends.JobDetail, err error) {
	ctx, cancel := cancelOnHalt(ctx, w)
	defer cancel()
	if len(r.restarted) > 0 && r.wait > 0 {
		w.Progress("waiting %s before the next batch", r.wait)
		if err := sleep(ctx, r.wait); err != nil {
			return now, err
		}
	}
	err = pollJob(ctx, w.Cluster, r.job.Job, w.Progress, func(is backends.JobDetail) (bool, error) {
		if now = is; now.ModifyIndex != r.job.ModifyIndex {
			return true, &backends.ChangedError{Job: now.ID, Version: now.Version}
		}
		return true, checkRestartable(now)
	})
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return now, err
}

// cancelOnHalt returns ctx with the end that somebody asks of the work.
func cancelOnHalt(ctx context.Context, w router.Work) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-w.HaltRequested():
			cancel(w.HaltReason())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// restartBatch restarts a batch and waits until it has come up.
func (r *rolling) restartBatch(ctx context.Context, w router.Work, batch []target) error {
	if len(batch) == 0 {
		return nil
	}
	w.Progress("restarting %s", targetNames(batch))
	if err := r.requestRestarts(ctx, w, batch); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("a batch did not come up within %s", r.timeout))
	defer cancel()
	up := map[string]upState{} // by allocation
	waits := ""
	err := pollJob(ctx, w.Cluster, r.job.Job, w.Progress, func(now backends.JobDetail) (bool, error) {
		checks := r.fetchChecks(ctx, w, now, batch)
		if ctx.Err() != nil { // what the checks say is not known then: waits stays what was seen last
			return true, context.Cause(ctx)
		}
		var missing []string
		for _, t := range batch {
			why, err := r.notReady(now, t, checks)
			switch {
			case err != nil:
				return true, err
			case why != "":
				missing = append(missing, shortID(t.ID)+" "+why)
				delete(up, t.ID)
			default:
				a, _ := r.currentAllocation(now, t)
				if last := lastStart(a, t.task); up[t.ID].seen.IsZero() || !up[t.ID].started.Equal(last) {
					up[t.ID] = upState{time.Now(), last}
				}
			}
		}
		if waits = strings.Join(missing, ", "); waits != "" {
			w.Progress("%d of %d restarted; %s", len(r.restarted), len(r.targets), waits)
			return false, nil
		}
		return !slices.ContainsFunc(batch, func(t target) bool { return time.Since(up[t.ID].seen) < minUptime }), nil
	})
	if err != nil && ctx.Err() != nil && waits != "" {
		err = fmt.Errorf("%w: %s", err, waits)
	}
	return err
}

// upState is when a target was first seen up, after its tasks were last started: what ends and is started again and again
// has not come up.
type upState struct{ seen, started time.Time }

// lastStart returns when a task of an allocation was last started, or the latest of all for "".
func lastStart(a backends.Allocation, task string) (last time.Time) {
	for _, t := range a.Tasks {
		if at := startedAt(t); (task == "" || task == t.Name) && at.After(last) {
			last = at
		}
	}
	return last
}

// refreshTargets returns the targets as they are now, without those that need no restart any more because they have ended or
// were replaced since the beginning.
func (r *rolling) refreshTargets(w router.Work, now backends.JobDetail, batch []target) (left []target) {
	for _, t := range batch {
		i := slices.IndexFunc(now.Allocations, func(a backends.Allocation) bool { return a.ID == t.ID })
		switch {
		case i < 0:
			w.Note("allocation %s is not there any more", shortID(t.ID))
		case now.Allocations[i].Next != "":
			w.Note("allocation %s was replaced by %s meanwhile", shortID(t.ID), shortID(now.Allocations[i].Next))
		case now.Allocations[i].Status != "running" || now.Allocations[i].Desired != "run":
			w.Note("allocation %s does not run any more: it is %s", shortID(t.ID), now.Allocations[i].Status)
		default:
			left = append(left, target{now.Allocations[i], t.task})
		}
	}
	return left
}

// requestRestarts tells the allocations to restart, all of the batch at a time. Of one whose answer was lost, what becomes of it
// will tell.
func (r *rolling) requestRestarts(ctx context.Context, w router.Work, batch []target) error {
	errs := make([]error, len(batch))
	var orders errgroup.Group
	orders.SetLimit(maxParallelRequests)
	for i, t := range batch {
		orders.Go(func() error {
			errs[i] = backends.Protect(func() (err error) {
				if r.replace {
					_, err = w.Operations.StopAllocation(ctx, t.Allocation)
				} else {
					err = w.Operations.RestartTask(ctx, t.Allocation, t.task)
				}
				return err
			})
			return nil
		})
	}
	orders.Wait()
	for i, t := range batch {
		if errs[i] == nil || errors.Is(errs[i], backends.ErrOutcomeUnknown) {
			r.unconfirmed = append(r.unconfirmed, t)
			errs[i] = nil
		} else {
			errs[i] = fmt.Errorf("allocation %s: %w", shortID(t.ID), errs[i])
		}
	}
	return errors.Join(errs...)
}

// fetchChecks asks for the service checks of what the batch has become.
func (r *rolling) fetchChecks(ctx context.Context, w router.Work, now backends.JobDetail, batch []target) map[string][]backends.Check {
	if r.ignoreChecks {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checksTimeout)
	defer cancel()
	var of []backends.Allocation
	for _, t := range batch {
		if a, ok := r.currentAllocation(now, t); ok && a.Status == "running" {
			of = append(of, a)
		}
	}
	return w.Cluster.Checks(ctx, of)
}

// notReady says what a target that was told to restart still lacks; empty: nothing. What will not come is an error.
func (r *rolling) notReady(now backends.JobDetail, t target, checks map[string][]backends.Check) (string, error) {
	a, ok := r.currentAllocation(now, t)
	switch {
	case !ok && r.replace:
		if text := unplacedReasons(now.Unplaced); text != "" {
			return "is not placed: " + text, nil
		}
		return "is being replaced", nil
	case !ok:
		return "", fmt.Errorf("allocation %s is not there any more", shortID(t.ID))
	case a.Status == "failed" || a.Status == "lost":
		return "", fmt.Errorf("allocation %s is %s (see: info %s)", shortID(a.ID), a.Status, shortID(a.ID))
	case a.Status == "complete" && a.Desired == "run": // its work is done
		return "", nil
	case a.Status == "pending":
		return "is pending", nil
	case a.Status == "unknown":
		return "is on a node that Nomad does not hear of", nil
	case a.Terminal() || a.Desired != "run":
		return "", fmt.Errorf("allocation %s was stopped by somebody else, it is %s", shortID(a.ID), a.Status)
	case a.Healthy != nil && !*a.Healthy && r.replace:
		return "", fmt.Errorf("allocation %s is unhealthy (see: info %s)", shortID(a.ID), shortID(a.ID))
	}
	why, started, err := r.tasksNotReady(a, t)
	if why != "" || err != nil {
		return why, err
	}
	results, known := checks[a.ID]
	if !known && !r.ignoreChecks {
		return "has checks that are not known", nil
	}
	for _, c := range results {
		switch {
		case c.Readiness: // it is not to hold anything up, as Nomad sees it
		case c.Status == "failure" || c.Status == "pending":
			return "check " + c.Name + " is in " + c.Status, nil
		case !r.replace && !c.Time.After(started): // Nomad keeps the result from before the restart
			return "check " + c.Name + " has not run again", nil
		}
	}
	return "", nil
}

// tasksNotReady says what the tasks of an allocation lack that were to restart: those that ran before. started is when the last of
// them did.
func (r *rolling) tasksNotReady(a backends.Allocation, t target) (why string, started time.Time, err error) {
	for _, task := range a.Tasks {
		before := t.taskBefore(task.Name)
		told := before != nil && t.Runs(*before) && (r.replace || t.task == "" || t.task == task.Name)
		switch {
		case task.Failed:
			return "", started, fmt.Errorf("task %s of allocation %s has failed (see: logs %s)", task.Name, shortID(a.ID), task.ExecID)
		case !told, a.TaskState(task) == backends.StateDead: // one that prepares others ends
		case !a.Runs(task):
			return task.Name + " is " + task.State, started, nil
		case !r.replace && !startedAt(task).After(startedAt(*before)):
			return task.Name + " is being stopped", started, nil
		case startedAt(task).After(started):
			started = startedAt(task)
		}
	}
	return "", started, nil
}

// currentAllocation returns the allocation as it is now: the target's own, or the one that takes its place.
func (r *rolling) currentAllocation(now backends.JobDetail, t target) (backends.Allocation, bool) {
	id := t.ID
	for range len(now.Allocations) {
		i := slices.IndexFunc(now.Allocations, func(a backends.Allocation) bool { return a.ID == id })
		if i < 0 {
			break
		}
		a := now.Allocations[i]
		if !r.replace || a.ID != t.ID && a.Next == "" {
			return a, true
		}
		if a.Next == "" {
			break
		}
		id = a.Next
	}
	for _, a := range now.Allocations { // those of a batch job do not name each other
		if r.replace && a.Name == t.Name && a.Desired == "run" && a.Created.After(t.Created) && a.ID != t.ID {
			return a, true
		}
	}
	return backends.Allocation{}, false
}

// taskBefore returns the task of this name as it was before the restart.
func (t target) taskBefore(name string) *backends.Task {
	for i := range t.Tasks {
		if t.Tasks[i].Name == name {
			return &t.Tasks[i]
		}
	}
	return nil
}

// startedAt returns when a task was last started, as far as its state or its events tell.
func startedAt(t backends.Task) time.Time {
	at := t.Started
	for _, e := range t.Events {
		if e.Type == "Started" && e.Time.After(at) {
			at = e.Time
		}
	}
	return at
}

// targetNames lists targets by their allocations' places in the job and IDs.
func targetNames(targets []target) string {
	var all []string
	for _, t := range targets {
		all = append(all, strings.TrimPrefix(t.Name, t.JobID+".")+" "+shortID(t.ID))
	}
	return listOrNone(all)
}
