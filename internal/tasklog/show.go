package tasklog

import (
	"context"
	"errors"
	"fmt"

	"nomadctld/backends"
)

// Which selects one of the logs of a task.
type Which int

const (
	Newest             Which = iota // of the current allocation
	Previous                        // from before the last restart; without a restart, of the previous allocation
	PreviousAllocation              // of the allocation that the current one replaced
)

// Show prints the selected logs to their ends. The logs of several tasks are merged by time, as far as they have
// timestamps. It returns ErrReported if lines are missing and that has been printed.
func (v View) Show(ctx context.Context, which Which) error {
	wanted, err := v.wantedLogs(which)
	if err != nil {
		return err
	}
	for i := range wanted {
		w := &wanted[i]
		w.log = v.Printer.forTask("")
		if v.Task == nil {
			w.log = v.Printer.forTask(w.prefix(v.Printer.Console.Style()))
		}
		if w.TaskState(w.Task.Task) == backends.StateDead {
			w.log.note("%s %s", w.name(), w.exitText())
		}
	}
	var errs []error
	if len(wanted) > 1 {
		wanted, errs = v.merge(ctx, wanted)
	}
	incomplete := false
	for _, w := range wanted {
		if !w.done {
			errs = append(errs, v.show(ctx, w))
		}
		incomplete = incomplete || w.log.incomplete
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := errors.Join(errs...); err != nil || !incomplete {
		return err
	}
	return ErrReported
}

// wantedLog is a log to print.
type wantedLog struct {
	Task
	log         *taskLog
	previousRun bool // print the output from before the last restart
	done        bool // printed
}

// wantedLogs returns the logs to print.
func (v View) wantedLogs(which Which) (wanted []wantedLog, err error) {
	tasks := []Task{}
	if v.Task != nil {
		tasks = append(tasks, *v.Task)
	} else if tasks, err = selectTasks(v.Job); err != nil {
		return nil, err
	}
	for _, t := range tasks {
		if which == Newest {
			wanted = append(wanted, wantedLog{Task: t})
		} else if which == Previous && t.Task.Restarts > 0 {
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

// read calls each with the chunks of a log.
func (v View) read(
	ctx context.Context, w wantedLog, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	log := v.Open(w.Allocation, w.Task.Task.Name)
	if w.previousRun {
		return log.PreviousLog(ctx, q, each)
	}
	return log.Log(ctx, q, each)
}

// show prints a log.
func (v View) show(ctx context.Context, w wantedLog) error {
	err := v.read(ctx, w, v.Query, w.log.print)
	if flushed := w.log.flush(); err == nil {
		err = flushed
	}
	return explainError(err, w.Task)
}
