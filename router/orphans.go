package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/safego"
)

const (
	maxConcurrentKills = 4
	killAttemptTimeout = time.Minute
	minKillBackoff     = 2 * time.Second
	maxKillBackoff     = 5 * time.Minute

	// unconfirmedExitTimeout limits the retries for a program that was not found but may still be running. A down
	// node may never come back, or may never have had a Docker daemon.
	unconfirmedExitTimeout = time.Hour
)

// unconfirmedExitError explains why a program that was not found may still be running.
type unconfirmedExitError struct{ err error }

func (e *unconfirmedExitError) Error() string { return e.err.Error() }
func (e *unconfirmedExitError) Unwrap() error { return e.err }

// KillOrphans kills the programs that a previous gateway process left running when it was killed, and records the
// results. The orphans are the start events of these programs. It retries while a cluster does not respond. It returns
// when each program was killed or has exited, or the gateway has given up on it, or when ctx ends. latest returns the
// gateway of the current configuration.
func KillOrphans(ctx context.Context, orphans []audit.Event, latest func() Gateway) {
	slots := make(chan struct{}, maxConcurrentKills)
	var all sync.WaitGroup
	for _, e := range orphans {
		all.Go(func() { killOrphan(ctx, slots, e, latest) })
	}
	all.Wait()
}

// killOrphan kills the program of a start event and records the result. It retries until the program was killed or has
// exited, or the gateway gives up. It occupies one of the slots during each attempt.
func killOrphan(ctx context.Context, slots chan struct{}, e audit.Event, latest func() Gateway) {
	log := latest().Log.With("session", e.Session, "user", e.User, "tier", e.Tier, "job", e.Job,
		"allocation", e.Allocation, "task", e.Task)
	started := time.Now()
	killed := false // an attempt has killed something
	for backoff := minKillBackoff; ; backoff = min(2*backoff, maxKillBackoff) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		err := safego.Protect(func() (err error) {
			attempt, cancel := context.WithTimeout(ctx, killAttemptTimeout)
			defer cancel()
			found, err := latest().tryKillOrphan(attempt, e)
			killed = killed || found
			return err
		})
		<-slots
		e.Time = time.Now().UTC()
		var unconfirmed *unconfirmedExitError
		switch {
		case err == nil && killed:
			log.Warn("killed a program left running by a previous gateway process", "command", e.Line)
			e.Kind = audit.Killed
		case err == nil:
			e.Kind = audit.Exited
		case ctx.Err() != nil:
			return
		case errors.Is(err, backends.ErrUnsupported),
			errors.As(err, &unconfirmed) && time.Since(started) >= unconfirmedExitTimeout:
			log.Error("a program left running by a previous gateway process cannot be found and may still be running",
				"command", e.Line, "error", err)
			return
		default:
			if backoff == minKillBackoff {
				log.Warn("a program left running by a previous gateway process cannot be killed yet; trying again",
					"command", e.Line, "error", err)
			}
			select {
			case <-time.After(backoff):
				continue
			case <-ctx.Done():
				return
			}
		}
		e.Decision = ""
		latest().Audit.Record(e)
		return
	}
}

// tryKillOrphan kills the program of a start event and reports whether it was running. If it returns an error, the
// program may still be running.
//
// It asks the runtime that a new program would use, and its fallbacks. If none of those that may have started the
// program finds it, the program has exited.
func (g Gateway) tryKillOrphan(ctx context.Context, e audit.Event) (found bool, err error) {
	if g.Clusters[e.Tier] == nil {
		return false, fmt.Errorf("tier %s is no longer in the configuration: %w", e.Tier, backends.ErrUnsupported)
	}
	a, running, err := g.orphanAllocation(ctx, e)
	if err != nil || !running {
		return false, err
	}
	task := g.Runtimes.forTask(g.orphanScope(e), a, e.Task)
	r, err := task.(*boundRuntime).selectRuntime(ctx)
	if err != nil {
		return false, err
	}
	// The gateway cannot tell how the program was started: the selected runtime may have been down then.
	runtimes := []backends.Runtime{r.runtime}
	for _, other := range r.fallbacks {
		runtimes = append(runtimes, other.Runtime(e.Tier))
	}
	var errs error
	stopped := false // the task is not running
	for _, runtime := range runtimes {
		killer, ok := runtime.(backends.Killer)
		if !ok {
			continue
		}
		killed, err := killer.Kill(ctx, r.task, e.Program)
		found = found || killed
		switch {
		case killed && err == nil:
			return true, nil
		case errors.Is(err, backends.ErrTaskNotRunning):
			stopped = true
		case errors.Is(err, backends.ErrDeclined) && len(runtimes) == 1:
			errs = errors.Join(errs, &unconfirmedExitError{err})
		case errors.Is(err, backends.ErrForbidden) && runtime != r.runtime, errors.Is(err, backends.ErrDeclined):
			// This runtime cannot have started a program.
		default:
			errs = errors.Join(errs, err)
		}
	}
	if errs == nil && !stopped && r.skipped != nil && !errors.Is(r.skipped, backends.ErrDeclined) {
		// The preferred runtime may have started the program, and only that runtime can find it.
		errs = &unconfirmedExitError{r.skipped}
	}
	return found, errs
}

// orphanAllocation returns the allocation of an event and whether any of its tasks may be running.
func (g Gateway) orphanAllocation(ctx context.Context, e audit.Event) (a backends.Allocation, running bool, err error) {
	jobs, err := g.orphanScope(e).Jobs(ctx, backends.Selection{Tier: e.Tier, Namespace: e.Namespace, IncludeHidden: true})
	if err != nil {
		return a, false, err
	}
	for _, job := range jobs {
		i := slices.IndexFunc(job.Allocations, func(a backends.Allocation) bool { return a.ID == e.Allocation })
		if i < 0 {
			continue
		}
		switch a = job.Allocations[i]; a.Status {
		case "running", "pending":
			return a, true, nil
		case "unknown":
			return a, false, errors.New("its node is disconnected")
		case "lost":
			return a, false, &unconfirmedExitError{errors.New("its node is down")}
		}
	}
	return a, false, nil
}

// orphanScope returns a scope with only the job of an event.
func (g Gateway) orphanScope(e audit.Event) *scopedCluster {
	const right = "exec"
	root := backends.RootID(e.Job, "")
	group := acl.Group{Prefixes: []string{root}, Rights: []string{right}, Namespaces: []string{e.Namespace}}
	user := acl.User{Groups: []acl.Group{group}}
	return &scopedCluster{
		owned:    user.Scope(right, []acl.Tier{{Name: e.Tier, Prefixes: []string{root}}}),
		clusters: g.Clusters,
		event:    new(audit.Event),
	}
}
