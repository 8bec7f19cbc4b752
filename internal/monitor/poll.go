// Package monitor waits until a job, a group or an allocation is running, stopped or replaced. Pure functions judge one
// state of a job, and one loop polls the job. The package changes nothing in a cluster.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
)

const (
	pollInterval    = 500 * time.Millisecond
	responseTimeout = 2 * time.Minute // maximum time without a response of the cluster

	// idleGrace is the time for which Nomad may appear to be idle, because an evaluation completes before its allocations
	// are visible.
	idleGrace = 5 * time.Second
)

// ErrTimeout is the cause of a context that limits the time of a wait. Nomad continues to apply the change.
var ErrTimeout = errors.New("timed out")

// Progress prints or records a message that the next one replaces.
type Progress func(format string, args ...any)

// Status judges a state of a job. It returns a progress message, which may be empty, and whether the wait is over. An
// error ends the wait, too.
type Status func(now backends.JobDetail) (message string, done bool, err error)

// stalledError is the error of a Status if Nomad appears to do nothing more. Poll returns it if that lasts longer than
// idleGrace.
type stalledError string

func (e stalledError) Error() string { return string(e) }

// Poll polls a job until status is done or returns an error. It tolerates errors of the cluster for responseTimeout. If
// ctx is done first, it returns the cause.
func Poll(ctx context.Context, cluster backends.Cluster, job backends.Job, progress Progress, status Status) error {
	var failing time.Time // when the cluster stopped responding; zero: it responds
	var stalled time.Time // when Nomad first appeared to do nothing; zero: it is working
	for {
		now, err := cluster.Job(ctx, job)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			failing = time.Time{}
			message, done, err := status(now)
			if message != "" {
				progress("%s", message)
			}
			switch _, isStalled := errors.AsType[stalledError](err); {
			case done || err != nil && !isStalled:
				return err
			case !isStalled:
				stalled = time.Time{}
			case stalled.IsZero():
				stalled = time.Now()
			case time.Since(stalled) > idleGrace:
				return err
			}
		case errors.Is(err, backends.ErrNotFound), errors.Is(err, backends.ErrForbidden):
			return phrase.JobError(job, err)
		case failing.IsZero():
			failing = time.Now()
			progress("%v; retrying", err)
		case time.Since(failing) > responseTimeout:
			return fmt.Errorf("the cluster has not responded for %s: %w", responseTimeout, err)
		}
		if err := Sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// Sleep waits for d. If ctx is done first, it returns the cause.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
