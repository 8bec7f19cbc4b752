package commands

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/router"
)

// follower follows the logs of a job's tasks.
type follower struct {
	req     *router.Request
	query   backends.LogQuery
	printer *logPrinter
	job     atomic.Pointer[backends.JobDetail] // as it was last seen; nil: it has been purged
}

const (
	logPollInterval  = 2 * time.Second
	logRetryInterval = time.Second
	logEndGrace      = 3 * time.Second // after a task's end: what it wrote is still on its way through files
	logEndTimeout    = time.Minute     // how long a container's log may take for its end, and is asked for, whatever fails
)

// follow shows the logs that the request is about until all of them have ended for good.
func follow(ctx context.Context, req *router.Request, flags *logFlags) error {
	q, pattern, err := flags.query(time.Now())
	if err != nil {
		return err
	}
	q.Follow = true
	f := &follower{req: req, query: q, printer: &logPrinter{req: req, pattern: pattern, times: flags.times, split: flags.split}}
	f.job.Store(&backends.JobDetail{Job: req.Job})
	req.AllowCached(logPollInterval * 9 / 10)
	polling, stop := context.WithCancel(ctx)
	var polled sync.WaitGroup
	polled.Go(func() {
		_ = backends.Protect(func() error { f.poll(polling); return nil })
	})
	defer polled.Wait()
	defer stop()
	if req.Task != nil {
		err = f.followTask(ctx, logTask{*req.Allocation, *req.Task}, f.query, f.printer.forTask(""))
	} else {
		err = f.followAll(ctx)
	}
	if errors.Is(context.Cause(ctx), router.ErrInterrupted) {
		return nil // the way it ends
	}
	return err
}

// poll keeps the job's state up to date. A cluster that does not answer changes nothing: the logs go on.
func (f *follower) poll(ctx context.Context) {
	said := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(logPollInterval):
		}
		detail, err := f.req.Cluster.Job(ctx, f.req.Job)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			f.job.Store(&detail)
			said = false
		case errors.Is(err, backends.ErrNotFound):
			f.job.Store(nil)
			return
		case !said:
			f.printer.forTask("").note("%s; still following", escape.Text(err.Error()))
			said = true
		}
	}
}

// latest returns a task as it was last seen, and whether Nomad still knows it.
func (f *follower) latest(t logTask) (logTask, bool) {
	job := f.job.Load()
	if job == nil {
		return t, false
	}
	for _, a := range job.Allocations {
		if a.ID != t.ID {
			continue
		}
		for _, task := range a.Tasks {
			if task.Name == t.task.Name {
				return logTask{a, task}, true
			}
		}
		return t, true // it has no state yet
	}
	return t, false
}

// hasFinished reports whether a task has finished for good. One on a node that Nomad has lost sight of may come back.
func (f *follower) hasFinished(t logTask) bool {
	now, known := f.latest(t)
	return !known || now.TaskState(now.task) == backends.StateDead
}

// followAll follows every task of the job, those that come later too.
func (f *follower) followAll(ctx context.Context) error {
	var failed atomic.Bool
	var useful, useless atomic.Int32 // tasks that have a log, or may get one, and others
	var running sync.WaitGroup
	var open atomic.Int32
	known := map[string]bool{}
	begin := func(t logTask, q backends.LogQuery) {
		key := t.ID + "/" + t.task.Name
		if known[key] {
			return
		}
		known[key] = true
		log := f.printer.forTask(t.prefix(clientStyle(f.req)))
		open.Add(1)
		running.Go(func() {
			defer open.Add(-1)
			useful.Add(1)
			err := backends.Protect(func() error { return f.followTask(ctx, t, q, log) })
			if errors.Is(err, backends.ErrLogDisabled) || errors.Is(err, backends.ErrLogNotKept) {
				useful.Add(-1)
				useless.Add(1)
			}
			if err != nil && ctx.Err() == nil {
				log.note("%s", escape.Text(err.Error()))
				failed.Store(true)
			}
		})
	}
	tasks, err := selectTasks(f.req)
	job := f.req.Job
	switch {
	case err == nil:
	case job.Status == "dead", job.Periodic, job.Parameterized:
		return err
	default:
		f.printer.forTask("").note("%s; waiting for one", escape.Text(err.Error()))
	}
	for _, t := range tasks {
		begin(t, f.query)
	}
	for _, t := range tasksOf(job.Allocations) {
		if f.hasFinished(t) {
			known[t.ID+"/"+t.task.Name] = true // what ended before is not what is followed
		} else {
			begin(t, f.query)
		}
	}
	whole := f.query
	whole.Lines, whole.Since = -1, time.Time{}
	for ctx.Err() == nil {
		job := f.job.Load()
		if job == nil {
			break
		}
		for _, t := range tasksOf(job.Allocations) {
			begin(t, whole)
		}
		if open.Load() == 0 && (job.Status == "dead" || useless.Load() > 0 && useful.Load() == 0) {
			break
		}
		select {
		case <-time.After(logPollInterval / 4):
		case <-ctx.Done():
		}
	}
	running.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if failed.Load() {
		return router.Exit(1, nil) // what has failed is said already, where it happened
	}
	return nil
}

// followTask follows one task until it has finished for good, and says how.
func (f *follower) followTask(ctx context.Context, t logTask, q backends.LogQuery, log *taskLog) (err error) {
	defer func() {
		if flushed := log.flush(); err == nil {
			err = flushed
		}
	}()
	runtime := f.req.RuntimeOf(t.Allocation, t.task.Name)
	if f.hasFinished(t) {
		q.Follow = false
		err := runtime.Log(ctx, q, log.print)
		if err == nil || errors.Is(err, backends.ErrNoLog) {
			if failed := f.noteFinished(t, log); failed != nil {
				return failed
			}
		}
		return explainLogError(err, t)
	}
	if t.task.State == "pending" && t.task.Restarts == 0 {
		q.Lines = -1 // all of it is yet to come
	}
	said, failing := "", time.Time{} // zero: it does not
	waits := func(err error, why string) {
		if said != why {
			log.note("%s; %s", escape.Text(explainLogError(err, t).Error()), why)
		}
		said = why
	}
	for {
		container, err := f.streamLog(ctx, runtime, t, q, log)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case f.hasFinished(t):
			switch {
			case err == nil:
			case container != "":
				log.note("the last lines of %s may be missing: its container's log broke off", escape.Text(t.name()))
			case !errors.Is(err, context.Canceled) && !errors.Is(err, backends.ErrNoLog): // else nothing came any more
				log.note("the last lines of %s may be missing: %s", escape.Text(t.name()), escape.Text(err.Error()))
			}
			return f.noteFinished(t, log)
		case container != "" && (err == nil || errors.Is(err, backends.ErrNoLog)):
			if err != nil {
				log.note("the last lines of a container of %s may be missing: it went while its log could not be read", escape.Text(t.name()))
			}
			// It has stopped, and there is another one soon, or Nomad says that the task is over.
			q.Lines, q.Since, q.AfterContainer = -1, time.Time{}, container
			said, failing = "", time.Time{}
			if err := log.finishLines(); err != nil {
				return err
			}
			continue // what comes may not live long
		case errors.Is(err, backends.ErrNoLog):
			waits(err, "waiting for one")
		case q.AfterContainer != "" && errors.Is(err, backends.ErrNoTimestamps): // in Nomad's files it cannot be told what is new
			waits(errors.New("docker does not answer"), "waiting for it")
			failing = time.Time{}
		case errors.Is(err, backends.ErrLimitReached):
			waits(err, "waiting for a place")
		case q.AfterContainer == "", container != "", errors.Is(err, backends.ErrForbidden), !failing.IsZero() && time.Since(failing) > logEndTimeout:
			return explainLogError(err, t)
		case failing.IsZero():
			failing = time.Now()
			log.note("%s; still following", escape.Text(explainLogError(err, t).Error()))
		}
		select {
		case <-time.After(logRetryInterval):
		case <-ctx.Done():
		}
	}
}

// streamLog follows a task's log until it ends, or until the task is over and nothing comes any more. It returns the container
// whose log it was; empty: it was that of no container, or could not be read.
func (f *follower) streamLog(ctx context.Context, runtime router.TaskRuntime, t logTask, q backends.LogQuery, log *taskLog) (container string, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var moved atomic.Int64
	var printing, tellsItsEnd atomic.Bool
	go func() {
		tick := time.NewTicker(logEndGrace / 3)
		defer tick.Stop()
		moved.Store(time.Now().UnixNano())
		for ctx.Err() == nil {
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
			if !f.hasFinished(t) || printing.Load() {
				moved.Store(time.Now().UnixNano())
			} else if still := time.Since(time.Unix(0, moved.Load())); still > logEndTimeout || still > logEndGrace && !tellsItsEnd.Load() {
				stop()
			}
		}
	}()
	err = runtime.Log(ctx, q, func(p backends.LogChunk) error {
		printing.Store(true)
		defer printing.Store(false)
		defer func() { moved.Store(time.Now().UnixNano()) }()
		if p.CaughtUp {
			container = p.Container
			tellsItsEnd.Store(container != "")
			return nil
		}
		return log.print(p)
	})
	return container, err
}

// noteFinished says how a task has ended, and where it goes on if it does.
func (f *follower) noteFinished(t logTask, log *taskLog) error {
	if err := log.flush(); err != nil {
		return err
	}
	now, known := f.latest(t)
	switch {
	case !known:
		log.note("%s is gone", t.name())
	case now.Next != "" && f.req.Task != nil:
		log.note("%s %s; Nomad has replaced it (see: ps --all %s)", t.name(), now.exitText(), escape.Text(t.JobID))
	default:
		log.note("%s %s", t.name(), now.exitText())
	}
	return nil
}
