package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(logs) }) }

type logs struct {
	logFlags
	follow, previous, previousAllocation bool
}

func (l *logs) Spec() router.Spec {
	return router.Spec{
		Name:          "logs",
		Args:          taskArg,
		Short:         "Print recent log lines",
		Group:         router.GroupLogs,
		Rank:          1,
		Target:        router.TargetJobOrTask,
		RightSet:      router.Read,
		WantsTerminal: true,
		Long: `
Print the last lines of the log of a task, or of each task of a job. Each line of a
job starts with group[index]/task.

` + jobOrTaskHelp + finishedHelp + `

stdout and stderr of a task are both printed to stdout. Logs from Docker are printed
in the order written, and for a job they are sorted by time. On a terminal (ssh -t),
control characters are made visible, except colors.

Lines that Docker does not have come from Nomad's log files. These files have no
times: for each task, stdout is printed first, then stderr. A note on stderr reports
if only part of a log comes from these files, or if its start is lost. The exit code
is 75 if a limit of the gateway refused the command.`,
		Examples: []router.Example{
			{Line: "logs p-team1-web", Comment: "all tasks of a job"},
			{Line: "logs -n 20 --stderr 45fed1138a", Comment: "one task"},
			{Line: "logs --since 2h --grep 'error|panic' p-team1-web"},
			{Line: "logs --previous 45fed1138a", Comment: "why did it restart?"},
		},
		Flags: func(f *pflag.FlagSet) {
			l.bind(f)
			f.BoolVarP(&l.follow, "follow", "f", false, "follow the log (see: tail)")
			f.BoolVar(&l.previous, "previous", false,
				"log from before the last restart; without a restart, of the previous allocation")
			f.BoolVar(&l.previousAllocation, "previous-allocation", false, "log of the allocation that this one replaced")
		},
	}
}

// Follows implements router.Follower. Lines are printed as they are read, even without --follow.
func (l *logs) Follows() bool { return true }

func (l *logs) Run(ctx context.Context, req *router.Request) error {
	if l.follow {
		if l.previous || l.previousAllocation {
			return router.Exit(2, errors.New("logs: --follow cannot be combined with --previous or --previous-allocation"))
		}
		return follow(ctx, req, &l.logFlags)
	}
	q, pattern, err := l.query(time.Now())
	if err != nil {
		return usageError(req, err)
	}
	tasks, err := selectTasks(req)
	if err != nil {
		return err
	}
	wanted := make([]wantedLog, len(tasks))
	for i, t := range tasks {
		wanted[i] = wantedLog{logTask: t, previousRun: l.previous && !l.previousAllocation && t.task.Restarts > 0}
	}
	if l.previous || l.previousAllocation {
		if wanted, err = previousLogs(req, wanted); err != nil {
			return err
		}
	}
	printer := &logPrinter{req: req, pattern: pattern, times: l.times, split: l.split}
	for i := range wanted {
		w := &wanted[i]
		w.log = printer.forTask("")
		if req.Target.Task == nil {
			w.log = printer.forTask(w.prefix(req.Console.Style()))
		}
		if w.TaskState(w.task) == backends.StateDead {
			w.log.note("%s %s", w.name(), w.exitText())
		}
	}
	var errs []error
	if len(wanted) > 1 {
		wanted, errs = mergeLogs(ctx, req, q, wanted)
	}
	incomplete := false
	for _, w := range wanted {
		if !w.done {
			errs = append(errs, w.show(ctx, req, q))
		}
		incomplete = incomplete || w.log.incomplete
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := errors.Join(errs...); err != nil || !incomplete {
		return err
	}
	return router.Exit(1, nil) // the missing lines have already been reported
}

// wantedLog is a log to print.
type wantedLog struct {
	logTask
	log         *taskLog
	previousRun bool // print the output from before the last restart
	done        bool // printed
}

// read calls each with the chunks of the log.
func (w wantedLog) read(
	ctx context.Context, req *router.Request, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	runtime := req.Access.RuntimeOf(w.Allocation, w.task.Name)
	if w.previousRun {
		return runtime.PreviousLog(ctx, q, each)
	}
	return runtime.Log(ctx, q, each)
}

// show prints the log.
func (w wantedLog) show(ctx context.Context, req *router.Request, q backends.LogQuery) error {
	err := w.read(ctx, req, q, w.log.print)
	if flushed := w.log.flush(); err == nil {
		err = flushed
	}
	return explainLogError(err, w.logTask)
}

// previousLogs returns the logs to print: of a task with a previous run, that run; of any other, the same task in the
// previous allocation.
func previousLogs(req *router.Request, tasks []wantedLog) (before []wantedLog, err error) {
	for _, t := range tasks {
		if t.previousRun {
			before = append(before, t)
		} else if b, ok := t.previousTask(req.Target.Job); ok {
			before = append(before, wantedLog{logTask: b})
		}
	}
	if len(before) == 0 {
		name := tasks[0].Name
		if len(tasks) > 1 {
			name = req.Target.Job.ID
		}
		return nil, fmt.Errorf("Nomad has no earlier allocation of %s (see: ps --all %s)", name, req.Target.Job.ID)
	}
	return before, nil
}
