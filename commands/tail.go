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
		Args:          "SELECTOR",
		Short:         "Follow what a task, or each task of a job, writes",
		Target:        router.TargetJobOrTask,
		Set:           router.Read,
		WantsTerminal: true,
		Long: selectorHelp + `

It is logs --follow: it goes on when the task is restarted and ends, saying how, when it has finished for good. With a job
every task of every allocation is followed, new ones too, until the job has ended. Ctrl-C ends it. Past lines are shown
task by task. Clients that follow the same log share one stream. If a client reads too slowly, tail prints how many lines
it missed.`,
		Flags: func(f *pflag.FlagSet) {
			t.bind(f)
			f.BoolVarP(&t.follow, "follow", "f", true, "as it does")
			f.MarkHidden("follow")
		},
	}
}

// Follows implements router.Follower. Lines are printed as they are read.
func (t *tail) Follows() bool { return true }

func (t *tail) Run(ctx context.Context, req *router.Request) error {
	return follow(ctx, req, &t.logFlags)
}
