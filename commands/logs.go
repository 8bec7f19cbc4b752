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
	follow, previous bool
}

func (l *logs) Spec() router.Spec {
	return router.Spec{
		Name:     "logs",
		Args:     "SELECTOR",
		Short:    "Show the last lines that a task, or each task of a job, has written",
		Target:   router.TargetJobOrTask,
		Set:      router.Read,
		Terminal: true,
		Long: selectorHelp + `

What the task wrote to stdout comes on stdout, what it wrote to stderr on stderr, and the number of lines counts for each.
With a job each line begins with group[index]/task. The log is that of the container if Docker can read it, else the files
that Nomad keeps, which hold no times. In a container's log that is long and of which one output is rarely written to,
lines of that output are looked for among the last 20,000; in all of it with --stdout or --stderr, unless it is followed.
On a terminal (ssh -t) colours in a log are shown, and whatever else could act on a terminal is made visible.`,
		Flags: func(f *pflag.FlagSet) {
			l.bind(f)
			f.BoolVarP(&l.follow, "follow", "f", false, "go on with what comes, as tail does")
			f.BoolVar(&l.previous, "previous", false, "of the allocation that this one took the place of")
		},
	}
}

// Follows implements router.Follower: lines are passed on as they are read.
func (l *logs) Follows() bool { return true }

func (l *logs) Run(ctx context.Context, req *router.Request) error {
	if l.follow {
		if l.previous {
			return router.Exit(2, errors.New("logs: --previous has ended and cannot be followed: leave out one of them"))
		}
		return follow(ctx, req, &l.logFlags)
	}
	q, pattern, err := l.query(time.Now())
	if err != nil {
		return err
	}
	tasks, err := wantedTasks(req)
	if err != nil {
		return err
	}
	if l.previous {
		if tasks, err = previous(req, tasks); err != nil {
			return err
		}
	}
	printer := &logPrinter{req: req, pattern: pattern, times: l.times}
	var errs []error
	gone := false
	for _, t := range tasks {
		log := printer.task("")
		if req.Task == nil {
			log = printer.task(t.prefix(look(req)))
		}
		if t.TaskState(t.task) == backends.StateDead {
			log.note("%s %s", t.name(), t.end())
		}
		err := req.RuntimeOf(t.Allocation, t.task.Name).Log(ctx, q, log.print)
		if flushed := log.flush(); err == nil {
			err = flushed
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, explainLog(err, t.name()))
		gone = gone || log.gone
	}
	if err := errors.Join(errs...); err != nil || !gone {
		return err
	}
	return router.Exit(1, nil) // what is missing is said where it is
}

// previous returns for each task the one before it.
func previous(req *router.Request, tasks []logTask) (before []logTask, err error) {
	for _, t := range tasks {
		if b, ok := t.before(req.Job); ok {
			before = append(before, b)
		}
	}
	if len(before) == 0 {
		return nil, fmt.Errorf("Nomad knows of no allocation before %s", tasks[0].Name)
	}
	return before, nil
}
