package commands

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(info) }) }

type info struct{ json bool }

func (i *info) Spec() router.Spec {
	return router.Spec{
		Name:          "info",
		Args:          taskArg,
		Short:         "Show tasks and their events",
		Group:         router.GroupLook,
		Rank:          3,
		Target:        router.TargetJobOrTask,
		RightSet:      router.Read,
		WantsTerminal: true,
		JSON:          jobOutput{},
		Long: `
Show the state of a job and its tasks, why they are not up, and what happened to
them, as nomad alloc status does.

` + jobOrTaskHelp + `

For a job, the output starts with its state, its deployment, and the groups that
cannot be placed and why. For a periodic or parameterized job, it has the schedule, the
meta keys and the latest child jobs. Then, for each allocation:

  - ID, node and its drain, version, deployment health, addresses and ports
  - past and next replacements, with the reschedule policy

and for each of its tasks, in the order in which Nomad starts them:

  - exec ID, state, age, group and name, lifecycle
  - CPU and memory in use and the limits, volumes
  - restarts and the restart policy, Nomad's service checks
  - all events that Nomad still has, with their messages
  - the last lines of stderr (or stdout) if it crashed (needs the right to use
    logs)

info JOB leaves out failed allocations that Nomad has replaced (--json has them). It
shows complete and lost allocations only if there are no others. Select any by ID.`,
		Examples: []router.Example{
			{Line: "info p-team1-web", Comment: "a job with all its tasks"},
			{Line: "info 45fed1138a", Comment: "one task"},
		},
		Flags: func(f *pflag.FlagSet) { f.BoolVar(&i.json, "json", false, "print JSON") },
	}
}

func (i *info) Run(ctx context.Context, req *router.Request) error {
	done := req.Console.ShowActivity("waiting for the cluster")
	defer done()
	job, err := req.Access.Cluster.Job(ctx, req.Target.Job)
	if err != nil && (req.Target.Task == nil || !errors.Is(err, backends.ErrNotFound)) {
		return phrase.JobError(req.Target.Job, err)
	}
	view := infoView{now: time.Now(), job: job, isJob: req.Target.Task == nil}
	if view.isJob {
		view.selectAllocations(i.json)
	} else {
		view.selectTask(*req.Target.Allocation, *req.Target.Task)
	}
	if err := view.read(ctx, req, !i.json); err != nil {
		return err
	}
	done()
	if n := len(view.allocations); n > maxDetails {
		_ = printNotice(req, "addresses, limits and volumes are shown for the first %d of %d allocations (see: info ID)",
			maxDetails, n)
	}
	if i.json {
		err = render.JSON(req.Console.Stdout, view.json())
	} else {
		_, err = io.WriteString(req.Console.Stdout, view.text(req.Console.Style()))
	}
	if view.hidden {
		req.Access.ReportHidden()
	}
	return err
}
