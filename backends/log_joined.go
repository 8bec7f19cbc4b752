package backends

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// JoinedLog is the log of a task that has a container: what the container runtime holds, and before that what only the files
// hold, because a runtime keeps less. It implements LogSource.
type JoinedLog struct {
	Container LogSource
	Files     LogFiles // nil: they are not to be read
}

// errReadFiles stops reading a container's log: the files hold more, and the two do not fit together.
var errReadFiles = errors.New("read from files")

// Log implements LogSource.
func (j JoinedLog) Log(ctx context.Context, in TaskRef, q LogQuery, each func(LogChunk) error) error {
	passed := false
	pass := func(p LogChunk) error {
		passed = true
		return each(p)
	}
	ofContainer := q
	ofContainer.OnRetained = func(ctx context.Context, held RetainedLog) error { return j.readOlder(ctx, in, q, held, pass) }
	err := j.Container.Log(ctx, in, ofContainer, pass)
	if passed || err == nil || ctx.Err() != nil || j.Files == nil {
		return err
	}
	why := ""
	switch {
	case errors.Is(err, errReadFiles):
		why = "the log of the container and Nomad's files differ, and the files hold more: reading the files"
	case errors.Is(err, ErrLogNotKept):
		return j.readFilesInstead(ctx, in, q, err, each)
	case errors.Is(err, ErrNoLog), errors.Is(err, ErrDeclined): // the container was deleted, or a proxy serves no logs
	case errors.Is(err, ErrUnreachable), errors.Is(err, ErrForbidden), errors.Is(err, ErrLimitReached):
		return err
	default:
		why = fmt.Sprintf("%v: reading Nomad's files", err)
	}
	whole := q
	if why != "" && q.AfterContainer == "" && !q.Timestamps {
		whole.Since = time.Time{}
	}
	if why != "" && !whole.NeedsContainer() {
		if !q.Since.IsZero() {
			why += ", which hold no times: what is older than --since is shown too"
		}
		if noted := each(LogChunk{Note: why}); noted != nil {
			return noted
		}
	}
	inFiles := j.Files.Log(ctx, in, whole, each)
	switch {
	case !errors.Is(inFiles, ErrNoTimestamps):
		return inFiles
	case why != "" && !errors.Is(err, errReadFiles):
		return fmt.Errorf("%w: %w", err, inFiles)
	case q.Follow && !errors.Is(err, ErrDeclined):
		return err // there will be a container
	}
	return inFiles
}

// readFilesInstead reads Nomad's files for a task whose container has no log. Empty files count as no log.
func (j JoinedLog) readFilesInstead(ctx context.Context, in TaskRef, q LogQuery, never error, each func(LogChunk) error) error {
	follow, any := q.Follow, false
	q.Follow = false
	err := j.Files.Log(ctx, in, q, func(p LogChunk) error {
		any = any || len(p.Data) > 0
		return each(p)
	})
	if any && !follow {
		return err
	}
	return never
}

// readOlder passes on what only the files hold of a log.
func (j JoinedLog) readOlder(ctx context.Context, in TaskRef, q LogQuery, held RetainedLog, each func(LogChunk) error) error {
	if j.Files == nil {
		if held.Rotated {
			return each(LogChunk{Note: startNote(held) + ": older lines may have been rotated away"})
		}
		return nil
	}
	task, known := in.task()
	if !held.Rotated && (!known || task.Restarts > 0) {
		return nil // what the files hold besides is of earlier runs
	}
	final := !held.Rotated
	for i := range held.Outputs {
		held.Outputs[i].Complete, held.Outputs[i].Final = !held.Rotated, final
	}
	noted := false
	note := func() error {
		if noted {
			return nil
		}
		noted = true
		return each(LogChunk{Note: boundaryNote(q, held, task)})
	}
	before := func() error {
		return j.Files.LogBefore(ctx, in, held.Outputs, q, func(p LogChunk) error {
			if err := note(); err != nil {
				return err
			}
			return each(p)
		})
	}
	err := before()
	if final && !noted && errors.Is(err, ErrLogMismatch) {
		// Either the task has written in between, or the container's log breaks off where it is damaged.
		now, surveyed := j.scanContainer(ctx, in)
		if surveyed != nil {
			return surveyed
		}
		for i := range held.Outputs {
			held.Outputs[i].Final = now.Outputs[i].Bytes == held.Outputs[i].Bytes
		}
		err = before()
	}
	var other interface{ FilesHoldMore() bool }
	switch {
	case err == nil:
		return nil
	case noted, ctx.Err() != nil, held.Rotated && errors.Is(err, ErrLimitReached):
		return err
	case errors.Is(err, ErrLogMismatch) && errors.As(err, &other):
		if (!q.Follow || final) && known && task.Restarts == 0 && other.FilesHoldMore() {
			return errReadFiles
		}
	case !held.Rotated: // there is nothing wrong with the container's log as far as anybody knows
		return nil
	}
	if !held.Rotated {
		return nil
	}
	return each(LogChunk{Note: fmt.Sprintf("%s: older lines may have been rotated away, and Nomad's files do not help: %v", startNote(held), err)})
}

// boundaryNote says where the part that comes from files ends.
func boundaryNote(q LogQuery, held RetainedLog, task Task) string {
	since := held.Start.UTC().Format(time.RFC3339)
	switch {
	case held.Start.IsZero():
		return "the container's log is empty: reading Nomad's files, which hold no times"
	case q.Timestamps:
		return fmt.Sprintf("lines from before %s are read from Nomad's files, which hold no times: stdout first, then stderr", since)
	case !held.Rotated:
		return fmt.Sprintf("the container's log is damaged or was truncated: lines from before %s are read from Nomad's files", since)
	case !q.Since.IsZero() && (task.Restarts > 0 || q.Since.After(task.Started)):
		return fmt.Sprintf("lines from before %s are read from Nomad's files, which hold no times: some may be older than --since", since)
	}
	return fmt.Sprintf("lines from before %s are read from Nomad's files: stdout first, then stderr", since)
}

func startNote(held RetainedLog) string {
	if held.Start.IsZero() {
		return "the log is empty"
	}
	return "the log starts at " + held.Start.UTC().Format(time.RFC3339)
}

// Previous calls each with what a task wrote before it was last restarted: all but what its present container has written.
func (j JoinedLog) Previous(ctx context.Context, in TaskRef, q LogQuery, each func(LogChunk) error) error {
	q.Follow = false
	switch {
	case j.Files == nil:
		return ErrRunsNotSeparable
	case q.NeedsContainer():
		return fmt.Errorf("%w: Nomad's files hold none", ErrNoTimestamps)
	}
	present, err := j.scanContainer(ctx, in)
	switch {
	case errors.Is(err, ErrNoLog):
		if task, _ := in.task(); task.State == "dead" {
			return ErrRunsNotSeparable // the files end with the last run, and the one before is wanted
		}
		return j.Files.Log(ctx, in, q, each) // they end with the run before the one that is to start
	case err != nil:
		return err
	case present.Rotated:
		return errors.New("the output of the run before cannot be told from that of this run, which is too long (see: logs -n all)")
	}
	for i := range present.Outputs {
		present.Outputs[i].Lines = 0 // q.Lines are those of the run before
	}
	return j.Files.LogBefore(ctx, in, present.Outputs, q, each)
}

// scanContainer returns what the container's log holds.
func (j JoinedLog) scanContainer(ctx context.Context, in TaskRef) (all RetainedLog, err error) {
	found := false
	q := LogQuery{Stdout: true, Stderr: true, Lines: -1, ScanAll: true, OnRetained: func(_ context.Context, held RetainedLog) error {
		all, found = held, true
		return errReadFiles
	}}
	err = j.Container.Log(ctx, in, q, func(LogChunk) error { return errReadFiles })
	if found {
		return all, nil
	}
	return all, err
}

// task returns the task as it was when its allocation was read.
func (p TaskRef) task() (Task, bool) {
	i := slices.IndexFunc(p.Allocation.Tasks, func(t Task) bool { return t.Name == p.Task })
	if i < 0 {
		return Task{}, false
	}
	return p.Allocation.Tasks[i], true
}
