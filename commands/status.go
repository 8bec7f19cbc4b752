package commands

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(status) }) }

type status struct {
	watchFlag
	json, evals bool
}

func (s *status) Spec() router.Spec {
	return router.Spec{
		Name:          "status",
		Args:          "JOB",
		Short:         "Like nomad job status",
		Group:         router.GroupLook,
		Rank:          4,
		Target:        router.TargetJob,
		RightSet:      router.Read,
		WantsTerminal: true,
		JSON:          jobOutput{},
		Long: `
Show the status of a job, like nomad job status: summary, placement failures, future
rescheduling attempts, latest deployment, actions, and allocations or child jobs.

Of the complete and lost allocations, it lists the newest 10. "info" shows the state
of each task. "ps --all" lists all jobs.`,
		Examples: []router.Example{
			{Line: "status p-team1-web"},
			{Line: "status --watch 5 p-team1-web", Comment: "refresh every 5 seconds"},
		},
		Flags: func(f *pflag.FlagSet) {
			s.watchFlag.bind(f)
			f.BoolVar(&s.evals, "evals", false, "also list the evaluations, newest first")
			f.BoolVar(&s.json, "json", false, "print JSON")
		},
	}
}

func (s *status) Run(ctx context.Context, req *router.Request) error {
	return s.watchFlag.run(ctx, req, func(ctx context.Context, out io.Writer) error {
		done := req.Console.ShowActivity("waiting for the cluster")
		defer done()
		job, err := req.Access.Cluster.Job(ctx, req.Target.Job)
		if err != nil {
			return phrase.JobError(req.Target.Job, err)
		}
		var children []backends.Job
		if job.Children != nil {
			jobs, err := req.Access.Cluster.Jobs(ctx, backends.Selection{Tier: job.Tier, Namespace: job.Namespace})
			if err != nil {
				return err
			}
			children = slices.DeleteFunc(jobs, func(j backends.Job) bool { return j.Parent != job.ID })
		}
		done()
		if s.json {
			return render.JSON(out, jobJSON(job, nil, nil))
		}
		_, err = io.WriteString(out, statusView{job, children, s.evals, time.Now(), req.Console.Style()}.text())
		return err
	})
}
