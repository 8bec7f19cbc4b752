// Package tasklog prints the logs of tasks: to their ends, merged by time, or followed across restarts and new
// allocations. It reads logs and jobs through its caller, and must not decide which tasks a user may read.
package tasklog

import (
	"context"
	"errors"

	"nomadctld/backends"
)

// View is a request to print the logs of a task, or of all tasks of a job.
type View struct {
	Job     backends.Job
	Task    *Task // nil: all tasks of the job
	Query   backends.LogQuery
	Printer *Printer

	// Open returns the log of a task in an allocation of the job.
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
