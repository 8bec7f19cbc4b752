package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/jobrelease"
	"nomadctld/internal/monitor"
	"nomadctld/internal/ops"
	"nomadctld/internal/parse"
	"nomadctld/internal/phrase"
	"nomadctld/internal/restart"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(restartCommand) }) }

type restartCommand struct {
	batch                             string
	wait, timeout                     time.Duration
	reschedule, full, background, yes bool
	ignoreChecks                      bool
}

func (r *restartCommand) Spec() router.Spec {
	return router.Spec{
		Name:          "restart",
		Args:          "JOB|JOB/GROUP|JOB/GROUP/TASK|ID",
		Short:         "Restart tasks in batches",
		Group:         router.GroupChange,
		Rank:          3,
		Target:        router.TargetPart,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long: `
Restart the tasks of a job, group, task or allocation in place, one batch at a
time. ID is an exec ID for one task, or an allocation ID for all of its tasks.

Each batch starts when all tasks of the previous batch are running and the checks of
their Nomad services pass (Consul checks and readiness checks are ignored). The
restart stops at the first batch that does not become healthy and reports which
allocations were restarted.

First, failed allocations are replaced and missing ones are placed. If a service's
reschedule block allows no attempt, restart prompts on a terminal, registers the job
with one attempt, and then with the original block again. A stopped allocation of a
system job is replaced if you select it by ID.

If you disconnect, the current batch finishes and the restart stops. Use
--background to let it run to completion; "ops" lists and cancels restarts.

On a terminal, --full prompts if more than one allocation is running. It saves
the job's definition before the stop. If the job cannot be registered again, the
definition is printed with the command that restores it.`,
		Examples: []router.Example{
			{Line: "restart p-team1-web", Comment: "one allocation at a time"},
			{Line: "restart --batch 25% p-team1-web", Comment: "a quarter of the allocations at a time"},
			{Line: "restart p-team1-api/web/sidecar", Comment: "one task, in every allocation"},
			{Line: "restart --full -y p-team1-web", Comment: "stop and register again, no prompt"},
		},
		Flags: func(f *pflag.FlagSet) {
			f.StringVarP(&r.batch, "batch", "b", "1", "`N|N%` allocations to restart at a time")
			parse.DurationVar(f, &r.wait, "wait", 0, "`DURATION` pause between batches")
			parse.DurationVar(f, &r.timeout, "timeout", 5*time.Minute, "`DURATION` time a batch may take to become healthy")
			f.BoolVar(&r.ignoreChecks, "ignore-checks", false, "do not wait for service checks")
			f.BoolVar(&r.reschedule, "reschedule", false, "stop allocations so that Nomad replaces them")
			f.BoolVar(&r.full, "full", false, "stop the whole job and register it again")
			f.BoolVar(&r.background, "background", false, "print the operation's ID and return")
			f.BoolVarP(&r.yes, "yes", "y", false, "do not prompt")
		},
	}
}

func (r *restartCommand) Run(ctx context.Context, req *router.Request) error {
	if err := r.check(req); err != nil {
		return router.Exit(2, fmt.Errorf("restart: %w", err))
	}
	job, err := currentJob(ctx, req)
	if err != nil {
		return err
	}
	if _, err := req.Target.Part.GroupIn(job); err != nil {
		return err
	}
	// Another operation may have stopped the job temporarily.
	if err := req.Access.Operations.CheckNoneRunning(); err != nil {
		return err
	}
	if err := restart.CheckRestartable(job); err != nil {
		return err
	}
	prepare := r.prepareRolling
	if r.full {
		prepare = r.prepareFull
	}
	work, err := prepare(ctx, req, job)
	if err != nil {
		return err
	}
	op, err := req.Access.Operations.Start(ctx, work)
	if err != nil {
		return err
	}
	if r.background {
		printNotice(req, "restarting %s in the background (see: ops %s)", req.Args[0], op.ID)
		return printResult(req, "%s", op.ID)
	}
	unit := "batch"
	if r.full {
		unit = "step"
	}
	return followOp(ctx, req, op, unit)
}

// prepareFull prompts if several allocations are running, and returns the work of the operation.
func (r *restartCommand) prepareFull(
	ctx context.Context, req *router.Request, job backends.JobDetail,
) (work func(context.Context, ops.Operation) error, err error) {
	if err := r.saveRelease(ctx, req, job); err != nil {
		return nil, err
	}
	if active := monitor.ActiveAllocations(job, ""); len(active) > 1 {
		if err := confirm(ctx, req, r.yes, "Stop and start %s in tier %s, with %s?",
			job.ID, job.Tier, phrase.Count(len(active), "running allocation")); err != nil {
			return nil, err
		}
	}
	return (&restart.Full{Job: job, Timeout: r.timeout}).Run, nil
}

// prepareRolling prompts before it registers the job twice, and returns the work of the operation.
func (r *restartCommand) prepareRolling(
	ctx context.Context, req *router.Request, job backends.JobDetail,
) (work func(context.Context, ops.Operation) error, err error) {
	plan := restart.NewPlan(job, partToRestart(req.Target))
	if err := plan.Check(req.Args[0]); err != nil {
		return nil, err
	}
	if len(plan.Unreschedulable) > 0 {
		if err := r.saveRelease(ctx, req, job); err != nil {
			return nil, err
		}
		if err := confirm(ctx, req, r.yes, "The reschedule block does not let Nomad replace %s of %s. "+
			"Register the job with one reschedule attempt, and then its original definition again (this adds 2 versions)?",
			phrase.FailedOrStopped(plan.Unreschedulable), job.ID); err != nil {
			return nil, err
		}
	}
	size, err := batchSize(r.batch, len(plan.Targets))
	if err != nil {
		return nil, router.Exit(2, fmt.Errorf("restart: %w", err))
	}
	return (&restart.Rolling{
		Plan: plan, BatchSize: size, Wait: r.wait, Timeout: r.timeout, Replace: r.reschedule, IgnoreChecks: r.ignoreChecks,
	}).Run, nil
}

// saveRelease saves the last release before the restart adds two versions to the job.
func (r *restartCommand) saveRelease(ctx context.Context, req *router.Request, job backends.JobDetail) error {
	warning, err := jobrelease.Save(ctx, req.Access.Cluster, req.Access.Operations.Saved(), job, 2)
	if err != nil {
		return err
	}
	return confirmWarnings(ctx, req, r.yes, warning)
}

// partToRestart returns the part of the job that the target selects.
func partToRestart(target router.Target) restart.Part {
	part := restart.Part{Group: target.Part.Group, Task: target.Part.Task}
	if target.Allocation != nil {
		part.AllocationID = target.Allocation.ID
	}
	if target.Task != nil {
		part.Task = target.Task.Name
	}
	return part
}

func (r *restartCommand) check(req *router.Request) error {
	switch {
	case r.full && (req.Target.Part != router.Part{} || req.Target.Allocation != nil):
		return errors.New("--full works only on a whole job")
	case r.full && r.reschedule:
		return errors.New("--full and --reschedule are mutually exclusive")
	case r.reschedule && (req.Target.Part.Task != "" || req.Target.Task != nil):
		return errors.New("--reschedule replaces whole allocations, not tasks: name a group or an allocation")
	case r.reschedule && (req.Target.Job.Type == "system" || req.Target.Job.Type == "sysbatch"):
		return fmt.Errorf("Nomad does not replace stopped allocations of a %s job: leave out --reschedule",
			req.Target.Job.Type)
	case r.timeout <= 0:
		return errors.New("--timeout takes a duration above 0, such as 30s")
	}
	_, err := batchSize(r.batch, 1)
	return err
}

// batchSize parses --batch. It returns the number of allocations in a batch: N, or N% of all, but at least 1.
func batchSize(text string, all int) (int, error) {
	number, percent := strings.CutSuffix(text, "%")
	n, ok := parse.Number(number)
	switch {
	case !ok || n < 1 || percent && n > 100:
		return 0, fmt.Errorf("--batch takes a number above 0, or a percentage such as 25%%, not %q", text)
	case percent:
		return max(1, all*n/100), nil
	}
	return n, nil
}
