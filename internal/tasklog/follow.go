package tasklog

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/safego"
)

// follower follows the logs of a job's tasks.
type follower struct {
	View
	cluster backends.Cluster
	job     atomic.Pointer[backends.JobDetail] // the latest state of the job; nil: the job was purged
}

// newFollower returns a follower of the logs that v selects.
func newFollower(v View, cluster backends.Cluster) *follower {
	f := &follower{View: v, cluster: cluster}
	f.job.Store(&backends.JobDetail{Job: v.Job})
	return f
}

const (
	// PollInterval is the interval at which Follow polls the job.
	PollInterval  = 2 * time.Second
	retryInterval = time.Second

	// exitGrace is the time after a task's exit in which its last output may still arrive through Nomad's files.
	exitGrace = 3 * time.Second
	// exitTimeout limits how long a container's log may stay open without output after the task's exit, and how long
	// a failing log of a later container is retried.
	exitTimeout = time.Minute
)

// Follow prints the selected logs until all their tasks have finished. For a job, that includes tasks that start later,
// and for a periodic or parameterized job it follows the child jobs. cluster reads the state of the jobs. Follow
// returns ErrReported if a log failed and that has been printed.
func (v View) Follow(ctx context.Context, cluster backends.Cluster) error {
	v.Query.Follow = true
	v.Query.PreferTimes = v.Query.PreferTimes || v.Selected.One == nil // to sort the lines
	if v.Selected.One == nil || v.Printer.Filter.Last > 0 {
		if err := v.startHistory(ctx, v.Selected.One == nil); err != nil {
			return err
		}
		defer v.Printer.dropHistory()
	}
	if v.Job.Periodic || v.Job.Parameterized {
		return v.followChildren(ctx, cluster)
	}
	f := newFollower(v, cluster)
	if v.Selected.One != nil {
		log := v.Printer.forTask(*v.Selected.One, "")
		log.delayHistory()
		return f.whilePolling(ctx, func(ctx context.Context) error {
			return f.followTask(ctx, *v.Selected.One, v.Query, log)
		})
	}
	job := followedJob{follower: f, known: map[string]bool{}}
	if err := job.prepareExisting(); err != nil {
		return err
	}
	return f.whilePolling(ctx, job.follow)
}

// whilePolling calls follow and updates the state of the job in the meantime.
func (f *follower) whilePolling(ctx context.Context, follow func(context.Context) error) error {
	polling, stop := context.WithCancel(ctx)
	var polled sync.WaitGroup
	polled.Go(func() {
		_ = safego.Protect(func() error { f.poll(polling); return nil })
	})
	defer polled.Wait()
	defer stop()
	return follow(ctx)
}

// poll updates the job's state. If the cluster does not respond, the logs are still followed.
func (f *follower) poll(ctx context.Context) {
	reported := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(PollInterval):
		}
		detail, err := f.cluster.Job(ctx, f.Job)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			f.job.Store(&detail)
			reported = false
		case errors.Is(err, backends.ErrNotFound):
			f.job.Store(nil)
			return
		case !reported:
			f.Printer.note("%s; still following", escape.Text(err.Error()))
			reported = true
		}
	}
}

// latest returns the latest state of a task, and whether Nomad still has it.
func (f *follower) latest(t Task) (Task, bool) {
	job := f.job.Load()
	if job == nil {
		return t, false
	}
	for _, a := range job.Allocations {
		if a.ID != t.ID {
			continue
		}
		for _, task := range a.Tasks {
			if task.Name == t.Task.Name {
				return Task{a, task}, true
			}
		}
		return t, true // the task has no state yet
	}
	return t, false
}

// hasFinished reports whether a task has finished and will not restart in this allocation. A task on a disconnected
// node has not finished.
func (f *follower) hasFinished(t Task) bool {
	now, known := f.latest(t)
	return !known || now.TaskState(now.Task) == backends.StateDead
}

// followTask follows one task through its restarts until it has finished, and prints how it finished. The log is that
// of one container at a time: when a container exits, followTask waits for the log of the next one, and retries for
// exitTimeout if that log cannot be read.
func (f *follower) followTask(ctx context.Context, t Task, q backends.LogQuery, log *taskLog) (err error) {
	defer func() {
		if flushed := log.flush(); err == nil {
			err = flushed
		}
	}()
	source := f.Open(t.Allocation, t.Task.Name)
	if f.hasFinished(t) {
		q.Follow = false
		err := source.Log(ctx, q, log.print)
		if written := log.caughtUp(); err == nil {
			err = written
		}
		if err == nil || errors.Is(err, backends.ErrNoLog) {
			if failed := f.noteFinished(t, log); failed != nil {
				return failed
			}
		}
		return explainError(err, t)
	}
	if t.Task.State == "pending" && t.Task.Restarts == 0 {
		q.Lines = -1 // the task has not written anything yet
	}
	reported, failing := "", time.Time{} // failing: the time of the first error; zero: none
	reportWait := func(err error, wait string) {
		if reported != wait {
			log.note("%s; %s", escape.Text(explainError(err, t).Error()), wait)
		}
		reported = wait
	}
	for {
		container, err := f.streamLog(ctx, source, t, q, log)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case f.hasFinished(t):
			switch {
			case err == nil:
			case container != "":
				log.note("the last lines of %s may be missing: the connection to its container's log was lost", t.name())
			case !errors.Is(err, context.Canceled) && !errors.Is(err, backends.ErrNoLog): // with these, no lines are missing
				log.note("the last lines of %s may be missing: %s", t.name(), escape.Text(err.Error()))
			}
			return f.noteFinished(t, log)
		case container != "" && (err == nil || errors.Is(err, backends.ErrNoLog)):
			if err != nil {
				log.note("the last lines of a container of %s may be missing: it was removed before its log could be read",
					t.name())
			}
			// The container has exited. Either another one starts soon, or Nomad reports that the task has finished.
			q.Lines, q.Since, q.AfterContainer = -1, time.Time{}, container
			reported, failing = "", time.Time{}
			if err := log.finishLines(); err != nil {
				return err
			}
			continue // without a pause: the next container may exit soon
		case errors.Is(err, backends.ErrNoLog):
			reportWait(err, "waiting for a new log")
		case q.AfterContainer != "" && errors.Is(err, backends.ErrNoTimestamps):
			// Nomad's files do not show which lines are new.
			reportWait(errors.New("Docker does not respond"), "waiting for Docker")
			failing = time.Time{}
		case errors.Is(err, backends.ErrLimitReached):
			reportWait(err, "waiting for a free slot")
		case q.AfterContainer == "", container != "", errors.Is(err, backends.ErrForbidden),
			!failing.IsZero() && time.Since(failing) > exitTimeout:
			return explainError(err, t)
		case failing.IsZero():
			failing = time.Now()
			log.note("%s; still following", escape.Text(explainError(err, t).Error()))
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
		}
	}
}

// streamLog follows a task's log until it ends, or until the task has finished and no more lines arrive. It returns the
// container whose log it was, or "" if the log was not that of a container or could not be read.
func (f *follower) streamLog(
	ctx context.Context, source Log, t Task, q backends.LogQuery, log *taskLog,
) (container string, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var lastChunk atomic.Int64  // in Unix nanoseconds
	var printing atomic.Bool    // a chunk is being printed
	var isContainer atomic.Bool // it is the log of a container, which ends by itself when the container exits
	go func() {
		tick := time.NewTicker(exitGrace / 3)
		defer tick.Stop()
		lastChunk.Store(time.Now().UnixNano())
		for ctx.Err() == nil {
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
			if !f.hasFinished(t) || printing.Load() {
				lastChunk.Store(time.Now().UnixNano())
				continue
			}
			idle := time.Since(time.Unix(0, lastChunk.Load()))
			if idle > exitTimeout || idle > exitGrace && !isContainer.Load() {
				stop()
			}
		}
	}()
	err = source.Log(ctx, q, func(c backends.LogChunk) error {
		printing.Store(true)
		defer printing.Store(false)
		defer func() { lastChunk.Store(time.Now().UnixNano()) }()
		if c.CaughtUp {
			container = c.Container
			isContainer.Store(container != "")
			return log.caughtUp()
		}
		return log.print(c)
	})
	return container, err
}

// noteFinished prints how a task has finished, and whether another allocation has replaced it.
func (f *follower) noteFinished(t Task, log *taskLog) error {
	if err := log.flush(); err != nil {
		return err
	}
	now, known := f.latest(t)
	switch {
	case !known:
		log.note("Nomad has deleted %s", t.name())
	case now.Next != "" && f.Selected.One != nil:
		log.note("%s %s; Nomad has replaced it (see: ps --all %s)", t.name(), now.exitText(), escape.Text(t.JobID))
	default:
		log.note("%s %s", t.name(), now.exitText())
	}
	return nil
}
