// Package logjoin reads the log of a task from its container and, for older lines, from Nomad's log files. It decides
// which lines come from which source and adds notes about that. It reads the two sources only through the interfaces of
// package backends.
package logjoin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"nomadctld/backends"
)

// Source is the log of a task with a container. It reads the container's log and, before that, the older lines that
// only Nomad's log files contain, because a container runtime retains less.
type Source struct {
	Container backends.LogSource
	Files     backends.LogFiles // nil: do not read log files
}

// Reasons to stop reading a container's log before its end.
var (
	errReadFiles = errors.New("read from files") // the files contain more, and the two logs cannot be joined
	errScanned   = errors.New("log scanned")     // scanContainer has its result
)

var _ backends.LogSource = Source{}

// Log implements backends.LogSource.
func (j Source) Log(
	ctx context.Context, in backends.TaskRef, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	started := false
	emit := func(c backends.LogChunk) error {
		started = true
		return each(c)
	}
	containerQuery := q
	containerQuery.OnRetained = func(ctx context.Context, retained backends.RetainedLog) error {
		return j.readOlder(ctx, in, q, retained, emit)
	}
	err := j.Container.Log(ctx, in, containerQuery, emit)
	if started || err == nil || ctx.Err() != nil || j.Files == nil {
		return err
	}
	reason := ""
	switch {
	case errors.Is(err, errReadFiles):
		reason = "the container's log and Nomad's log files differ, and the files contain more: reading the files"
	case errors.Is(err, backends.ErrLogNotStored):
		return j.readFilesInstead(ctx, in, q, err, each)
	case errors.Is(err, backends.ErrNoLog): // the container was deleted
	case errors.Is(err, backends.ErrDeclined): // a proxy denies access
	case errors.Is(err, backends.ErrUnreachable), errors.Is(err, backends.ErrForbidden),
		errors.Is(err, backends.ErrLimitReached):
		return err
	default:
		reason = fmt.Sprintf("%v: reading Nomad's log files", err)
	}
	filesQuery := q
	if reason != "" && q.AfterContainer == "" && !q.Timestamps {
		filesQuery.Since = time.Time{}
	}
	if reason != "" && !filesQuery.NeedsContainer() {
		if !q.Since.IsZero() {
			reason += ", which have no timestamps: lines older than --since are shown as well"
		}
		if err := each(backends.LogChunk{Note: reason}); err != nil {
			return err
		}
	}
	filesErr := j.Files.Log(ctx, in, filesQuery, each)
	switch {
	case !errors.Is(filesErr, backends.ErrNoTimestamps):
		return filesErr
	case reason != "" && !errors.Is(err, errReadFiles):
		return fmt.Errorf("%w: %w", err, filesErr)
	case q.Follow && !errors.Is(err, backends.ErrDeclined):
		return err // the container may start later
	}
	return filesErr
}

// readFilesInstead reads Nomad's log files for a task whose container has no log. It returns notStored if they are
// empty or q follows.
func (j Source) readFilesInstead(
	ctx context.Context, in backends.TaskRef, q backends.LogQuery, notStored error,
	each func(backends.LogChunk) error,
) error {
	follow, found := q.Follow, false
	q.Follow = false
	err := j.Files.Log(ctx, in, q, func(c backends.LogChunk) error {
		found = found || len(c.Data) > 0
		return each(c)
	})
	if found && !follow {
		return err
	}
	return notStored
}

// readOlder calls each with the older lines that only the log files contain. If older lines may be missing and the
// files do not contain them either, it emits a note.
func (j Source) readOlder(
	ctx context.Context, in backends.TaskRef, q backends.LogQuery, retained backends.RetainedLog,
	each func(backends.LogChunk) error,
) error {
	if j.Files == nil {
		if retained.Rotated {
			return each(backends.LogChunk{Note: startNote(retained) + ": older lines may have been rotated away"})
		}
		return nil
	}
	task, known := listedTask(in)
	if !retained.Rotated && (!known || task.Restarts > 0) {
		return nil // the rest of the files belongs to earlier runs
	}
	complete := !retained.Rotated
	for i := range retained.Outputs {
		retained.Outputs[i].HasStart, retained.Outputs[i].HasEnd = complete, complete
	}
	noted := false
	note := func() error {
		if noted {
			return nil
		}
		noted = true
		if !q.Until.IsZero() && retained.Start.After(q.Until) { // the older lines have no times to compare with Until
			return fmt.Errorf("%w before %s", backends.ErrNoTimestamps, retained.Start.UTC().Format(time.RFC3339))
		}
		return each(backends.LogChunk{Note: boundaryNote(q, retained, task)})
	}
	before := func() error {
		return j.Files.LogBefore(ctx, in, retained.Outputs, q, func(c backends.LogChunk) error {
			if err := note(); err != nil {
				return err
			}
			return each(c)
		})
	}
	err := before()
	if complete && !noted && errors.Is(err, backends.ErrLogMismatch) {
		// Either the task has written more in the meantime, or the container's log is damaged and ends early.
		now, scanErr := j.scanContainer(ctx, in)
		if scanErr != nil {
			return scanErr
		}
		for i := range retained.Outputs {
			retained.Outputs[i].HasEnd = now.Outputs[i].Bytes == retained.Outputs[i].Bytes
		}
		err = before()
	}
	var mismatch *backends.MismatchError
	switch {
	case err == nil:
		return nil
	case noted, ctx.Err() != nil, retained.Rotated && errors.Is(err, backends.ErrLimitReached):
		return err
	case errors.As(err, &mismatch):
		if (!q.Follow || complete) && known && task.Restarts == 0 && mismatch.FilesContainMore {
			return errReadFiles
		}
	case !retained.Rotated: // nothing suggests that the container's log is incomplete
		return nil
	}
	if !retained.Rotated {
		return nil
	}
	return each(backends.LogChunk{Note: fmt.Sprintf("%s: older lines may have been rotated away, and Nomad's log files "+
		"cannot be used: %v", startNote(retained), err)})
}

// boundaryNote returns the note about the lines that come from log files.
func boundaryNote(q backends.LogQuery, retained backends.RetainedLog, task backends.Task) string {
	since := retained.Start.UTC().Format(time.RFC3339)
	switch {
	case retained.Start.IsZero():
		return "the container's log is empty: reading Nomad's log files, which have no timestamps"
	case !retained.Rotated && !q.Timestamps:
		return fmt.Sprintf("the container's log is damaged or was truncated: "+
			"lines before %s come from Nomad's log files", since)
	}
	note := fmt.Sprintf("lines before %s come from Nomad's log files", since)
	switch {
	case q.Timestamps:
		note += ", which have no timestamps: stdout first, then stderr"
	case !q.Since.IsZero() && (task.Restarts > 0 || q.Since.After(task.Started)):
		note += ", which have no timestamps: some may be older than --since"
	default:
		note += ": stdout first, then stderr"
	}
	return note
}

// startNote returns the first part of a note about missing older lines.
func startNote(retained backends.RetainedLog) string {
	if retained.Start.IsZero() {
		return "the log is empty"
	}
	return "the log starts at " + retained.Start.UTC().Format(time.RFC3339)
}

// Previous calls each with the log of the runs before the task's last restart: all lines that the current container has
// not written.
func (j Source) Previous(
	ctx context.Context, in backends.TaskRef, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	q.Follow = false
	switch {
	case j.Files == nil:
		return backends.ErrRunsNotSeparable
	case q.NeedsContainer():
		return fmt.Errorf("%w (Nomad's log files store none)", backends.ErrNoTimestamps)
	}
	current, err := j.scanContainer(ctx, in)
	switch {
	case errors.Is(err, backends.ErrNoLog):
		if task, _ := listedTask(in); task.State == "dead" {
			return backends.ErrRunsNotSeparable // the files end with the last run, not with the one before
		}
		return j.Files.Log(ctx, in, q, each) // the next run has not started, so the files end with the previous one
	case err != nil:
		return err
	case current.Rotated:
		return errors.New("the log of the current run is too long to find where the previous run ends (see: logs -n all)")
	}
	for i := range current.Outputs {
		current.Outputs[i].Lines = 0 // q.Lines counts lines of previous runs only
	}
	return j.Files.LogBefore(ctx, in, current.Outputs, q, each)
}

// scanContainer returns a description of the container's whole log.
func (j Source) scanContainer(ctx context.Context, in backends.TaskRef) (all backends.RetainedLog, err error) {
	found := false
	q := backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, ScanAll: true}
	q.OnRetained = func(_ context.Context, retained backends.RetainedLog) error {
		all, found = retained, true
		return errScanned
	}
	err = j.Container.Log(ctx, in, q, func(backends.LogChunk) error { return errScanned })
	if found {
		return all, nil
	}
	return all, err
}

// listedTask returns the task as it was listed.
func listedTask(in backends.TaskRef) (backends.Task, bool) {
	i := slices.IndexFunc(in.Allocation.Tasks, func(t backends.Task) bool { return t.Name == in.Task })
	if i < 0 {
		return backends.Task{}, false
	}
	return in.Allocation.Tasks[i], true
}
