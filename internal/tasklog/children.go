package tasklog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/escape"
)

// childPollInterval is the interval at which Follow looks for new child jobs.
const childPollInterval = 5 * time.Second

// NewestChild returns the newest child job of a periodic or parameterized job that has an allocation. Without one, its
// error has the next step.
func NewestChild(ctx context.Context, cluster backends.Cluster, parent backends.Job) (backends.Job, error) {
	children, err := childrenOf(ctx, cluster, parent)
	if err != nil {
		return backends.Job{}, err
	}
	for _, c := range slices.Backward(children) {
		if len(c.Allocations) > 0 {
			return c, nil
		}
	}
	return backends.Job{}, fmt.Errorf("%s has no child jobs with a log (see: status %s)", parent.ID, parent.ID)
}

// childrenOf returns the child jobs of a job with their allocations, oldest first.
func childrenOf(ctx context.Context, cluster backends.Cluster, parent backends.Job) ([]backends.Job, error) {
	jobs, err := cluster.Jobs(ctx, backends.Selection{
		Tier: parent.Tier, Namespace: parent.Namespace, IncludeHidden: true,
	})
	if err != nil {
		return nil, err
	}
	children := slices.DeleteFunc(jobs, func(j backends.Job) bool {
		return j.Parent != parent.ID || j.Tier != parent.Tier || j.Namespace != parent.Namespace
	})
	slices.SortStableFunc(children, func(a, b backends.Job) int {
		return cmp.Or(cmp.Compare(startedAt(a), startedAt(b)), a.Submitted.Compare(b.Submitted), cmp.Compare(a.ID, b.ID))
	})
	return children, nil
}

// startedAt returns when Nomad created a child job, in Unix seconds. It is read from the ID, as in
// import/dispatch-1796035429-d8bebb91, because Submitted may be that of the parent.
func startedAt(child backends.Job) int64 {
	_, kind, _ := strings.Cut(strings.TrimPrefix(child.ID, child.Parent+"/"), "-")
	digits, _, _ := strings.Cut(kind, "-")
	seconds, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return child.Submitted.Unix()
	}
	return seconds
}

// childFollower follows child jobs of a periodic or parameterized job.
type childFollower struct {
	View
	cluster backends.Cluster
	known   map[string]bool // IDs of the child jobs that were followed or are older
	running sync.WaitGroup
	done    chan childResult
	open    int // child jobs that are followed
	failed  bool

	current     string // ID of the newest child job that was followed
	stopCurrent context.CancelFunc
}

// childResult is the result of following a child job until it has finished.
type childResult struct {
	id  string
	err error
}

// followChildren follows the newest child job and switches to a newer one when it starts or, with Children, follows all
// child jobs that run. It returns when the parent job is stopped or deleted and no child job is followed.
func (v View) followChildren(ctx context.Context, cluster backends.Cluster) error {
	f := &childFollower{View: v, cluster: cluster, known: map[string]bool{}, done: make(chan childResult)}
	ctx, cancel := context.WithCancel(ctx)
	defer f.running.Wait()
	defer cancel()
	// This log has no lines. It delays the history until the first child jobs have been added.
	placeholder := v.Printer.forTask(Task{}, "")
	placeholder.delayHistory()
	reported := false
	for first := true; ; first = false {
		children, err := childrenOf(ctx, cluster, v.Job)
		stopped := false
		if err == nil {
			f.update(ctx, children, first)
			if err := placeholder.caughtUp(); err != nil {
				return err
			}
			stopped, err = f.parentStopped(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			reported = false
		case first:
			return err
		case !reported:
			v.Printer.note("%s; still following", escape.Text(err.Error()))
			reported = true
		}
		if stopped && f.open == 0 {
			if f.failed {
				return ErrReported
			}
			return nil
		}
		select {
		case r := <-f.done:
			f.finish(r)
		case <-time.After(childPollInterval):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// parentStopped reports whether the parent job starts no further child jobs.
func (f *childFollower) parentStopped(ctx context.Context) (bool, error) {
	job, err := f.cluster.Job(ctx, f.Job)
	if errors.Is(err, backends.ErrNotFound) {
		return true, nil
	}
	return job.Stopped || job.Status == "dead", err
}

// update follows new child jobs.
func (f *childFollower) update(ctx context.Context, children []backends.Job, first bool) {
	if first && len(children) == 0 {
		f.Printer.note("%s has no child jobs; waiting for one", escape.Text(f.Job.ID))
	}
	for i, c := range children {
		isNewest := i == len(children)-1
		isRunning := c.Status != "dead" && !c.Stopped
		switch {
		case f.known[c.ID]:
		case isNewest, f.Children && (isRunning || !first):
			f.follow(ctx, c, first)
		case !first:
			f.Printer.Note("skipped %s, because a newer child job has started (see: logs %s)", c.ID, c.ID)
		}
		f.known[c.ID] = true
	}
}

// follow starts to follow a child job. Without Children, it stops following the previous one.
func (f *childFollower) follow(ctx context.Context, child backends.Job, first bool) {
	id := escape.Text(child.ID)
	switch {
	case f.Children || f.current == "":
		f.Printer.note("following %s", id)
	default:
		f.stopCurrent()
		f.Printer.note("following %s, and no longer %s (to follow all: tail --children %s)",
			id, escape.Text(f.current), escape.Text(f.Job.ID))
	}
	v := f.View
	v.Job = child
	if !first {
		v.Query.Lines, v.Query.Since = -1, time.Time{}
	}
	job := followedJob{follower: newFollower(v, f.cluster), known: map[string]bool{}}
	follow := func(ctx context.Context) error { return job.whilePolling(ctx, job.follow) }
	if err := job.prepareExisting(); err != nil {
		follow = func(context.Context) error { return err }
	}
	childCtx, stop := context.WithCancel(ctx)
	f.current, f.stopCurrent = child.ID, stop
	f.open++
	f.running.Go(func() {
		defer stop()
		err := follow(childCtx)
		if childCtx.Err() != nil {
			err = nil
		}
		select {
		case f.done <- childResult{child.ID, err}:
		case <-ctx.Done():
		}
	})
}

// finish handles a followed child job that has finished.
func (f *childFollower) finish(r childResult) {
	f.open--
	if r.id == f.current {
		f.current = ""
	}
	if r.err != nil {
		f.failed = true
		if !errors.Is(r.err, ErrReported) {
			f.Printer.note("%s", escape.Text(r.err.Error()))
		}
	}
}
