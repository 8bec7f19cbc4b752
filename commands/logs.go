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
times: for each task, stdout is printed first, then stderr. If only part of a log
comes from these files, or if the start of the log is lost, stderr has a note. The exit code
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
		return l.logFlags.followLogs(ctx, req)
	}
	view, err := l.view(req)
	if err != nil {
		return err
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
