package commands

import (
	"context"

	"github.com/spf13/pflag"

	"nomadctld/internal/tasklog"
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
		Target:        router.TargetPart,
		RightSet:      router.Read,
		NumberFlag:    "lines",
		JSON:          tasklog.JSONLine{},
		WantsTerminal: true,
		Long: `
Follow the logs of one or several tasks until Ctrl-C. It is the same as logs --follow.

` + logSelectorHelp + `

tail continues when a task restarts. It exits when the task is finished, and prints
the task's exit code. For a job, it adds new allocations and exits when the job is
finished. For a periodic or parameterized job, it follows the newest child job, and
switches to a newer one when it starts.

Clients that follow the same log share one stream. If your client reads too slowly,
tail reports how many lines were skipped.`,
		Examples: []router.Example{
			{Line: "tail p-team1-web", Comment: "all tasks of a job"},
			{Line: "tail -n 0 --grep error 45fed1138a", Comment: "one task, new lines that match"},
		},
		Flags: func(f *pflag.FlagSet) {
			t.bindSelection(f)
			t.bindFilter(f)
			f.BoolVar(&t.children, "children", false, "follow all child jobs, and not only the newest")
			f.BoolVarP(&t.follow, "follow", "f", true, "always on")
			f.MarkHidden("follow")
		},
	}
}

// Follows implements router.Follower, so that the command holds no result slot: it prints lines as they are read, or
// acquires memory for those that it buffers.
func (t *tail) Follows() bool { return true }

func (t *tail) Run(ctx context.Context, req *router.Request) error {
	return t.logFlags.followLogs(ctx, req)
}
