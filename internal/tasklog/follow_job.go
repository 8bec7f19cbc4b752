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

// followedJob follows the selected tasks of a job, including tasks that start later.
type followedJob struct {
	*follower
	known map[string]bool // allocation ID/task of the tasks that are followed, or that had already finished

	prepared      []func(context.Context) // follow one task each, not started yet
	running       sync.WaitGroup
	open          atomic.Int32 // tasks that are followed
	mayHaveLog    atomic.Int32 // tasks that have or may get a log
	cannotHaveLog atomic.Int32 // tasks that cannot have one
	failed        atomic.Bool  // a log failed, and that was printed

	mu     sync.Mutex
	toNote []wantedLog // guarded by mu: tasks without a log that were not noted yet
	noted  int         // guarded by mu: number of tasks without a log that were noted
}

// prepareExisting prepares to follow the tasks that exist now. Their existing lines are buffered until all of these
// logs have caught up, so that they are printed sorted by time. Lines of tasks that start later are printed as they
// arrive. If there are no tasks and there cannot be any, it returns the reason.
func (f *followedJob) prepareExisting() error {
	tasks, err := f.Selected.tasks(f.Job)
	switch {
	case err == nil:
	case f.Job.Status == "dead":
		return err
	default:
		f.Printer.note("%s; waiting for one", escape.Text(err.Error()))
	}
	for _, t := range tasks {
		f.prepare(t, f.Query, true)
	}
	for _, t := range f.Selected.tasksOf(f.Job.Allocations) {
		switch key := t.key(); {
		case f.known[key]:
		case f.hasFinished(t):
			f.known[key] = true // tasks that have already finished are not followed
		default:
			f.prepare(t, f.Query, true)
		}
	}
	return nil
}

// follow returns when the job is dead, when the selected allocation has finished, or when none of the tasks can have a
// log.
func (f *followedJob) follow(ctx context.Context) error {
	fromStart := f.Query
	fromStart.Lines, fromStart.Since = -1, time.Time{}
	for ctx.Err() == nil {
		job := f.job.Load()
		if job == nil {
			break
		}
		for _, t := range f.Selected.tasksOf(job.Allocations) {
			if !f.known[t.key()] {
				f.prepare(t, fromStart, false)
			}
		}
		for _, follow := range f.prepared {
			f.running.Go(func() { follow(ctx) })
		}
		f.prepared = nil
		finished := job.Status == "dead" || f.Selected.Allocation != nil ||
			f.cannotHaveLog.Load() > 0 && f.mayHaveLog.Load() == 0
		if f.open.Load() == 0 && finished {
			break
		}
		if err := f.Printer.expire(); err != nil {
			return err
		}
		select {
		case <-time.After(PollInterval / 4):
			f.noteWithoutLog()
		case <-ctx.Done():
		}
	}
	f.running.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := f.Printer.endHistory(); err != nil {
		return err
	}
	f.noteWithoutLog()
	if f.failed.Load() || f.Selected.byID() && f.noted == len(f.known) {
		return ErrReported
	}
	return nil
}

// key identifies a task of an allocation.
func (l Task) key() string { return l.ID + "/" + l.Task.Name }

// prepare adds a function to f.prepared that follows a task until it has finished. isExisting: the printer waits for
// the existing lines of the task before it prints any.
func (f *followedJob) prepare(t Task, q backends.LogQuery, isExisting bool) {
	f.known[t.key()] = true
	log := f.Printer.forTask(t, f.prefix(t))
	if isExisting && !t.neverStarted() {
		log.delayHistory()
	}
	f.open.Add(1)
	f.mayHaveLog.Add(1)
	f.prepared = append(f.prepared, func(ctx context.Context) {
		defer f.open.Add(-1)
		err := safego.Protect(func() error { return f.followTask(ctx, t, q, log) })
		if errors.Is(err, backends.ErrLogDisabled) || errors.Is(err, backends.ErrLogNotStored) {
			f.mayHaveLog.Add(-1)
			f.cannotHaveLog.Add(1)
		}
		if written := log.caughtUp(); err == nil {
			err = written
		}
		switch {
		case err == nil || ctx.Err() != nil:
		case hasNoLog(err):
			f.mu.Lock()
			f.toNote = append(f.toNote, wantedLog{Task: t, err: errors.Unwrap(err)}) // without the task's name
			f.mu.Unlock()
		default:
			log.note("%s", escape.Text(err.Error()))
			f.failed.Store(true)
		}
	})
}

// noteWithoutLog prints one note about the tasks that have no log.
func (f *followedJob) noteWithoutLog() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.toNote) > 0 {
		f.Printer.note("%s", noLogNote(f.toNote, f.Job.ID))
		f.noted += len(f.toNote)
		f.toNote = nil
	}
}
