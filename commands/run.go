package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/childjobs"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(run) }) }

type run struct{ force bool }

func (r *run) Spec() router.Spec {
	return router.Spec{
		Name:          "run",
		Args:          "JOB",
		Short:         "Run a periodic job now",
		Group:         router.GroupChange,
		Rank:          6,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long: `
Run a periodic job now, like nomad job periodic force, and print the ID of the child
job, if Nomad returns it. The command does not wait until the child job is finished (see: tail).

If the job prohibits overlap and an earlier child job is still running, run refuses.
With --force it runs the job anyway, as Nomad's own command does.`,
		Examples: []router.Example{
			{Line: "run p-team1-report"},
			{Line: "run --force p-team1-report", Comment: "even if a child job is still running"},
		},
		Flags: func(f *pflag.FlagSet) {
			f.BoolVar(&r.force, "force", false, "ignore prohibit_overlap")
		},
	}
}

func (r *run) Run(ctx context.Context, req *router.Request) error {
	job, err := currentJob(ctx, req)
	switch {
	case err != nil:
		return err
	case !job.Periodic && job.Parameterized:
		return fmt.Errorf("%s is parameterized (see: dispatch %s)", job.ID, job.ID)
	case !job.Periodic:
		return fmt.Errorf("%s is not a periodic job: its type is %s, its status %s (see: batch)",
			job.ID, job.Type, job.Status)
	case job.Stopped:
		return fmt.Errorf("%s is stopped (see: start %s)", job.ID, job.ID)
	}
	if job.Schedule.ProhibitOverlap && !r.force {
		children, err := childjobs.Running(ctx, req.Access.Cluster, job)
		switch {
		case err != nil:
			return err
		case len(children) > 0:
			return fmt.Errorf("an earlier run of %s is still running, and the job prohibits overlap "+
				"(see: ps %s; run it anyway: run --force %s)", job.ID, job.ID, job.ID)
		}
	}
	result, err := req.Access.Writer.Force(ctx, job.Job)
	if _, ok := errors.AsType[*backends.RejectedError](err); ok && job.Schedule.Disabled {
		return fmt.Errorf("%s cannot run, because its schedule is disabled (see: batch %s)", job.ID, job.ID)
	}
	if err != nil {
		return phrase.JobError(job.Job, err)
	}
	if result.ChildID != "" {
		return printResult(req, "%s", result.ChildID)
	}
	return printResult(req, "started a run of %s%s", job.ID, evaluationSuffix(result))
}
