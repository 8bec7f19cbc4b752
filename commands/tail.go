package commands

import (
	"context"

	"github.com/spf13/pflag"

	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(tail) }) }

type tail struct {
	logFlags
	follow bool // ignored: tail always follows
}

func (t *tail) Spec() router.Spec {
	return router.Spec{
		Name:          "tail",
		Args:          taskArg,
		Short:         "Follow logs",
		Group:         router.GroupLogs,
		Rank:          2,
		Target:        router.TargetJobOrTask,
		RightSet:      router.Read,
		WantsTerminal: true,
		Long: `
Follow the log of a task, or of each task of a job, until Ctrl-C. It is the same as
logs --follow.

` + jobOrTaskHelp + finishedHelp + `

tail continues when a task restarts. It exits when the task is finished, and prints
the task's exit code. For a job, it follows every task of every allocation, including new
ones, until the job is finished. Lines from before
tail started are printed one task after the other.

Clients that follow the same log share one stream. If your client reads too slowly,
tail reports how many lines were skipped.`,
		Examples: []router.Example{
			{Line: "tail p-team1-web", Comment: "all tasks of a job"},
			{Line: "tail -n 0 --grep error 45fed1138a", Comment: "one task, new lines that match"},
		},
		Flags: func(f *pflag.FlagSet) {
			t.bind(f)
			f.BoolVarP(&t.follow, "follow", "f", true, "always on")
			f.MarkHidden("follow")
		},
	}
}

// Follows implements router.Follower. Lines are printed as they are read.
func (t *tail) Follows() bool { return true }

func (t *tail) Run(ctx context.Context, req *router.Request) error {
	return t.logFlags.followLogs(ctx, req)
}
