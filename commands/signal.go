package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(signal) }) }

type signal struct{}

func (signal) Spec() router.Spec {
	return router.Spec{
		Name:          "signal",
		Args:          taskArg + " SIGNAL",
		Short:         "Send a signal to a task",
		Group:         router.GroupLogs,
		Rank:          6,
		Target:        router.TargetTask,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long: `
Send a signal to a task. SIGNAL is a name, such as HUP or SIGUSR1.

` + taskHelp,
		Examples: []router.Example{
			{Line: "signal 45fed1138a HUP"},
			{Line: "signal p-lnx-mattermost SIGUSR1", Comment: "if the job has one running task"},
		},
	}
}

func (signal) Run(ctx context.Context, req *router.Request) error {
	name := strings.ToUpper(req.Args[1])
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if !slices.Contains(backends.TaskSignals, name) {
		return router.Exit(2, fmt.Errorf("signal: unknown signal %s (known: %s)",
			req.Args[1], strings.ReplaceAll(strings.Join(backends.TaskSignals, ", "), "SIG", "")))
	}
	if a := *req.Target.Allocation; !a.MayRun(*req.Target.Task) {
		state := phrase.NotRunningState(a, *req.Target.Task)
		return fmt.Errorf("task %s of %s is not running: it %s",
			req.Target.Task.Name, a.Name, phrase.StateClause(state, req.Target.Task.ExecID))
	}
	if err := req.Access.Writer.SignalTask(ctx, *req.Target.Allocation, req.Target.Task.Name, name); err != nil {
		return phrase.JobError(req.Target.Job, err)
	}
	return printResult(req, "sent %s to %s of %s", name, req.Target.Task.Name, req.Target.Allocation.Name)
}
