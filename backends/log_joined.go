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

// errFiles stops reading a container's log: the files hold more, and the two do not fit together.
var errFiles = errors.New("read from files")

// Log implements LogSource.
func (j JoinedLog) Log(ctx context.Context, in Place, q LogQuery, each func(Piece) error) error {
	passed := false
	pass := func(p Piece) error {
		passed = true
		return each(p)
	}
	ofContainer := q
	ofContainer.Older = func(ctx context.Context, held HeldLog) error { return j.older(ctx, in, q, held, pass) }
	err := j.Container.Log(ctx, in, ofContainer, pass)
	if passed || err == nil || ctx.Err() != nil || j.Files == nil {
		return err
	}
	why := ""
	switch {
	case errors.Is(err, errFiles):
		why = "the log of the container and Nomad's files differ, and the files hold more: reading the files"
	case errors.Is(err, ErrNeverLog):
		return j.instead(ctx, in, q, err, each)
	case errors.Is(err, ErrNoLog), errors.Is(err, ErrDeclined): // the container was deleted, or a proxy serves no logs
	case errors.Is(err, ErrUnreachable), errors.Is(err, ErrForbidden), errors.Is(err, ErrBusy):
		return err
	default:
		why = fmt.Sprintf("%v: reading Nomad's files", err)
	}
	whole := q
	if why != "" && q.After == "" && !q.Times {
		whole.Since = time.Time{}
	}
	if why != "" && !whole.OfContainers() {
		if !q.Since.IsZero() {
			why += ", which hold no times: what is older than --since is shown too"
		}
		if noted := each(Piece{Note: why}); noted != nil {
			return noted
		}
	}
	inFiles := j.Files.Log(ctx, in, whole, each)
	switch {
	case !errors.Is(inFiles, ErrNoTimes):
		return inFiles
	case why != "" && !errors.Is(err, errFiles):
		return fmt.Errorf("%w: %w", err, inFiles)
	case q.Follow && !errors.Is(err, ErrDeclined):
		return err // there will be a container
	}
	return inFiles
}

// instead reads Nomad's files for a task whose container has no log. Empty files count as no log.
func (j JoinedLog) instead(ctx context.Context, in Place, q LogQuery, never error, each func(Piece) error) error {
	follow, any := q.Follow, false
	q.Follow = false
	err := j.Files.Log(ctx, in, q, func(p Piece) error {
		any = any || len(p.Data) > 0
		return each(p)
	})
	if any && !follow {
		return err
	}
	return never
}

// older passes on what only the files hold of a log.
func (j JoinedLog) older(ctx context.Context, in Place, q LogQuery, held HeldLog, each func(Piece) error) error {
	if j.Files == nil {
		if held.Rotated {
			return each(Piece{Note: starts(held) + ": older lines may have been rotated away"})
		}
		return nil
	}
	task, known := in.task()
	if !held.Rotated && (!known || task.Restarts > 0) {
		return nil // what the files hold besides is of earlier runs
	}
	final := !held.Rotated
	for i := range held.Outputs {
		held.Outputs[i].Whole, held.Outputs[i].Final = !held.Rotated, final
	}
	noted := false
	note := func() error {
		if noted {
			return nil
		}
		noted = true
		return each(Piece{Note: joint(q, held, task)})
	}
	before := func() error {
		return j.Files.LogBefore(ctx, in, held.Outputs, q, func(p Piece) error {
			if err := note(); err != nil {
				return err
			}
			return each(p)
		})
	}
	err := before()
	if final && !noted && errors.Is(err, ErrOtherLog) {
		// Either the task has written in between, or the container's log breaks off where it is damaged.
		now, surveyed := j.survey(ctx, in)
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
	case noted, ctx.Err() != nil, held.Rotated && errors.Is(err, ErrBusy):
		return err
	case errors.Is(err, ErrOtherLog) && errors.As(err, &other):
		if (!q.Follow || final) && known && task.Restarts == 0 && other.FilesHoldMore() {
			return errFiles
		}
	case !held.Rotated: // there is nothing wrong with the container's log as far as anybody knows
		return nil
	}
	if !held.Rotated {
		return nil
	}
	return each(Piece{Note: fmt.Sprintf("%s: older lines may have been rotated away, and Nomad's files do not help: %v", starts(held), err)})
}

// joint says where the part that comes from files ends.
func joint(q LogQuery, held HeldLog, task Task) string {
	since := held.Start.UTC().Format(time.RFC3339)
	switch {
	case held.Start.IsZero():
		return "the container's log is empty: reading Nomad's files, which hold no times"
	case q.Times:
		return fmt.Sprintf("lines from before %s are read from Nomad's files, which hold no times: stdout first, then stderr", since)
	case !held.Rotated:
		return fmt.Sprintf("the container's log is damaged or was truncated: lines from before %s are read from Nomad's files", since)
	case !q.Since.IsZero() && (task.Restarts > 0 || q.Since.After(task.Started)):
		return fmt.Sprintf("lines from before %s are read from Nomad's files, which hold no times: some may be older than --since", since)
	}
	return fmt.Sprintf("lines from before %s are read from Nomad's files: stdout first, then stderr", since)
}

func starts(held HeldLog) string {
	if held.Start.IsZero() {
		return "the log is empty"
	}
	return "the log starts at " + held.Start.UTC().Format(time.RFC3339)
}

// Previous calls each with what a task wrote before it was last restarted: all but what its present container has written.
func (j JoinedLog) Previous(ctx context.Context, in Place, q LogQuery, each func(Piece) error) error {
	q.Follow = false
	switch {
	case j.Files == nil:
		return ErrOneLog
	case q.OfContainers():
		return fmt.Errorf("%w: Nomad's files hold none", ErrNoTimes)
	}
	present, err := j.survey(ctx, in)
	switch {
	case errors.Is(err, ErrNoLog):
		if task, _ := in.task(); task.State == "dead" {
			return ErrOneLog // the files end with the last run, and the one before is wanted
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

// survey returns what the container's log holds.
func (j JoinedLog) survey(ctx context.Context, in Place) (all HeldLog, err error) {
	found := false
	q := LogQuery{Stdout: true, Stderr: true, Lines: -1, Survey: true, Older: func(_ context.Context, held HeldLog) error {
		all, found = held, true
		return errFiles
	}}
	err = j.Container.Log(ctx, in, q, func(Piece) error { return errFiles })
	if found {
		return all, nil
	}
	return all, err
}

// task returns the task as it was when its allocation was read.
func (p Place) task() (Task, bool) {
	i := slices.IndexFunc(p.Allocation.Tasks, func(t Task) bool { return t.Name == p.Task })
	if i < 0 {
		return Task{}, false
	}
	return p.Allocation.Tasks[i], true
}
