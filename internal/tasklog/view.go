// Package tasklog prints the logs of tasks: to their ends, merged by time, or followed across restarts and new
// allocations. It reads logs and jobs through its caller, and must not decide which tasks a user may read.
package tasklog

import (
	"context"
	"errors"

	"nomadctld/backends"
)

// View is a request to print the logs of tasks of a job.
type View struct {
	Job      backends.Job
	Selected Selection
	Query    backends.LogQuery // Lines is counted before Printer.Filter is applied
	Printer  *Printer

	// Children makes Follow follow all child jobs of a periodic or parameterized job, and not only the newest one.
	Children bool

	// AcquireMemory reserves memory for maxHistory bytes until release is called; nil: unlimited.
	AcquireMemory func(ctx context.Context) (release func(), err error)

	// Open returns the log of a task in an allocation of the job or of one of its child jobs.
	Open func(a backends.Allocation, task string) Log
}

// Log is the log of a task.
type Log interface {
	// Log is backends.LogSource.Log.
	Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error

	// PreviousLog is Log for the output before the task's last restart. It returns backends.ErrRunsNotSeparable if the
	// runs cannot be told apart.
	PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error
}

// ErrReported is returned if a log could not be read completely and the reason has been printed.
var ErrReported = errors.New("a log could not be read completely")

// hasNoLog reports whether a log cannot be read because the task has none. For a task that was not selected by its ID,
// that is not a failure.
func hasNoLog(err error) bool {
	return errors.Is(err, backends.ErrNoLog) || errors.Is(err, backends.ErrLogDisabled) ||
		errors.Is(err, backends.ErrLogNotStored)
}
