package commands

import (
	"context"
	"errors"

	"github.com/spf13/pflag"

	"nomadctld/internal/tasklog"
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
		Target:        router.TargetPart,
		RightSet:      router.Read,
		NumberFlag:    "lines",
		JSON:          tasklog.JSONLine{},
		WantsTerminal: true,
		Long: `
Print the last lines of the logs of one or several tasks. Several logs are merged by
time where it is known, and each line starts with group[index]/task.

` + logSelectorHelp + `

stdout and stderr of a task are both printed to stdout. A log from Docker keeps the
order in which they were written. Nomad's log files have no times: stdout comes
first, then stderr, each with half of the -n lines, and --since and --until fail.
Times are UTC. 10:30 is the latest 10:30 that has passed.`,
		Examples: []router.Example{
			{Line: "logs -20 p-team1-web/api", Comment: "all tasks of a group"},
			{Line: "logs --since 2h --grep 'error|panic' -C 3 p-team1-web"},
			{Line: "logs --previous 45fed1138a", Comment: "why did it restart?"},
		},
		Flags: func(f *pflag.FlagSet) {
			l.bindSelection(f)
			f.StringVar(&l.until, "until", "", "`TIME` no newer lines")
			l.bindFilter(f)
			f.BoolVarP(&l.follow, "follow", "f", false, "follow the log (see: tail)")
			f.BoolVar(&l.children, "children", false, "with -f, follow all child jobs (see: tail)")
			f.MarkHidden("children")
			f.BoolVar(&l.previous, "previous", false, "log from before the last restart or replacement")
			f.BoolVar(&l.previousAllocation, "previous-allocation", false, "log of the allocation that this one replaced")
		},
	}
}

// Follows implements router.Follower, so that the command holds no result slot: it prints lines as they are read, even
// without --follow, or acquires memory for those that it buffers.
func (l *logs) Follows() bool { return true }

func (l *logs) Run(ctx context.Context, req *router.Request) error {
	if l.follow {
		switch {
		case l.previous || l.previousAllocation:
			return router.Exit(2, errors.New("logs: --follow cannot be combined with --previous or --previous-allocation"))
		case l.until != "":
			return router.Exit(2, errors.New("logs: --follow cannot be combined with --until"))
		}
		return l.logFlags.followLogs(ctx, req)
	}
	if l.children {
		return router.Exit(2, errors.New("logs: --children works only with --follow; without it, name the child job"))
	}
	if n, err := l.limit(); n == 0 && err == nil {
		return router.Exit(2, errors.New("logs: -n 0 selects no lines (for new lines only: tail -n 0)"))
	}
	view, err := l.view(ctx, req)
	if err != nil {
		return err
	}
	if view.Job.Periodic || view.Job.Parameterized {
		child, err := tasklog.NewestChild(ctx, req.Access.Cluster, view.Job)
		if err != nil {
			return err
		}
		view.Printer.Note("newest child job: %s", child.ID)
		view.Job = child
	}
	which := tasklog.Newest
	switch {
	case l.previousAllocation:
		which = tasklog.PreviousAllocation
	case l.previous:
		which = tasklog.Previous
	}
	return logError(view.Show(ctx, which))
}
