package tasklog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/jobstate"
)

// LogChoice selects one of the logs of a task.
type LogChoice int

const (
	Newest             LogChoice = iota // of the current allocation
	Previous                            // from before the last restart; without a restart, of the previous allocation
	PreviousAllocation                  // of the allocation that the current one replaced
)

// Show prints the selected logs to their ends. The logs of several tasks are merged by time, as far as they have
// timestamps. A task without a log is only noted, unless nothing can be read and one task or allocation is selected.
// Show returns ErrReported if lines are missing and that has been printed.
func (v View) Show(ctx context.Context, choice LogChoice) error {
	wanted, err := v.wantedLogs(choice)
	if err != nil {
		return err
	}
	for i := range wanted {
		w := &wanted[i]
		w.log = v.Printer.forTask(w.Task, v.prefix(w.Task))
		if w.TaskState(w.Task.Task) == backends.StateDead {
			w.log.note("%s %s", w.name(), w.exitText())
		}
	}
	if v.Printer.Filter.Last > 0 {
		if err := v.startHistory(ctx, len(wanted) > 1); err != nil {
			return err
		}
		defer v.Printer.dropHistory()
	}
	if len(wanted) > 1 {
		if err := v.merge(ctx, wanted); err != nil {
			return err
		}
	}
	for i := range wanted {
		if w := &wanted[i]; !w.done {
			w.err = v.show(ctx, *w)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := v.Printer.endHistory(); err != nil {
		return err
	}
	return v.result(wanted)
}

// result prints notes about the logs that were read, and returns the error of Show.
func (v View) result(wanted []wantedLog) error {
	var errs []error
	var withoutLog []wantedLog
	incomplete := false
	for _, w := range wanted {
		incomplete = incomplete || w.log.incomplete
		switch {
		case w.err == nil:
		case hasNoLog(w.err), errors.Is(w.err, backends.ErrNoTimestamps) && w.neverStarted():
			withoutLog = append(withoutLog, w)
		default:
			errs = append(errs, explainError(w.err, w.Task))
		}
	}
	switch {
	case len(withoutLog) == len(wanted) && v.Selected.byID():
		for _, w := range withoutLog {
			errs = append(errs, explainError(w.err, w.Task))
		}
	case len(withoutLog) > 0:
		v.Printer.note("%s", noLogNote(withoutLog, v.Job.ID))
	}
	if !v.Printer.hasPrinted && v.Printer.Filter.Pattern != nil && len(errs) == 0 && len(withoutLog) < len(wanted) {
		v.Printer.note("no line matches")
	}
	if err := errors.Join(errs...); err != nil || !incomplete && !v.Printer.isTruncated {
		return err
	}
	return ErrReported
}

// prefix returns what to print before each line of a task.
func (v View) prefix(t Task) string {
	if v.Selected.One != nil || v.Printer.JSON {
		return ""
	}
	parent := ""
	if v.Children {
		parent = t.Root
	}
	return t.prefix(v.Printer.Console.Style(), parent)
}

// wantedLog is a log to print.
type wantedLog struct {
	Task
	log         *taskLog
	previousRun bool // print the output from before the last restart
	done        bool // err is final
	err         error
}

// wantedLogs returns the logs to print.
func (v View) wantedLogs(choice LogChoice) (wanted []wantedLog, err error) {
	tasks, err := v.Selected.tasks(v.Job)
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		if choice == Newest {
			wanted = append(wanted, wantedLog{Task: t})
		} else if choice == Previous && t.Task.Restarts > 0 {
			wanted = append(wanted, wantedLog{Task: t, previousRun: true})
		} else if before, ok := t.previousTask(v.Job); ok {
			wanted = append(wanted, wantedLog{Task: before})
		}
	}
	if len(wanted) == 0 {
		name := tasks[0].Name
		if len(tasks) > 1 {
			name = v.Job.ID
		}
		return nil, fmt.Errorf("Nomad has no earlier allocation of %s (see: ps --all %s)", name, v.Job.ID)
	}
	return wanted, nil
}

// errPastUntil stops reading a log whose other lines are all newer than Filter.Until.
var errPastUntil = errors.New("newer than --until")

// maxSkew is how far the times of a task's two outputs may be out of order.
const maxSkew = 2 * time.Second

// read calls each with the chunks of a log.
func (v View) read(
	ctx context.Context, w wantedLog, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	log := v.Open(w.Allocation, w.Task.Task.Name)
	read := log.Log
	if w.previousRun {
		read = log.PreviousLog
	}
	until := v.Printer.Filter.Until
	err := read(ctx, q, func(c backends.LogChunk) error {
		if !until.IsZero() && c.Time.After(until.Add(maxSkew)) {
			return errPastUntil
		}
		return each(c)
	})
	if errors.Is(err, errPastUntil) {
		return nil
	}
	return err
}

// show prints a log.
func (v View) show(ctx context.Context, w wantedLog) error {
	err := v.read(ctx, w, v.Query, w.log.print)
	if flushed := w.log.flush(); err == nil {
		err = flushed
	}
	return err
}

// maxListed is the maximum number of tasks in a note.
const maxListed = 5

// noLogNote lists the tasks without a log, each with the reason.
func noLogNote(withoutLog []wantedLog, job string) string {
	var list []string
	for i, w := range withoutLog {
		if i == maxListed {
			list = append(list, fmt.Sprintf("and %d more (see: info %s)", len(withoutLog)-i, escape.Text(job)))
			break
		}
		reason := "log not found"
		switch {
		case errors.Is(w.err, backends.ErrLogDisabled), errors.Is(w.err, backends.ErrLogNotStored):
			reason = w.err.Error()
		case w.neverStarted():
			reason = notStarted(w.Task)
		}
		list = append(list, escape.Text(w.instance()+"/"+w.Task.Task.Name+": "+reason))
	}
	return fmt.Sprintf("no log: %s", strings.Join(list, "; "))
}

// neverStarted reports whether a task has not started in its allocation.
func (l Task) neverStarted() bool { return l.Task.Started.IsZero() && !l.MayRun(l.Task) }

// notStarted returns why a task has not started.
func notStarted(t Task) string {
	state := jobstate.Task(t.Allocation, t.Task, nil, time.Now())
	if reason := state.Reason(); reason != "" {
		return "not started (" + state.Word + ": " + reason + ")"
	}
	return "not started (" + state.Word + ")"
}
