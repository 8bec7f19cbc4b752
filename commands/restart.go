package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/internal/escape"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(restart) }) }

type restart struct {
	batch                             string
	wait, timeout                     time.Duration
	reschedule, full, background, yes bool
	ignoreChecks                      bool
}

func (r *restart) Spec() router.Spec {
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
their Nomad services pass (Consul checks are ignored). The restart stops at the first batch that does not become
healthy and reports which allocations were restarted.

First, failed allocations are replaced and missing ones are placed. If the
reschedule block allows no attempt, the gateway prompts on a terminal and
registers the job twice: with one reschedule attempt, then unchanged. A stopped
allocation of a system job is replaced if you select it by ID.

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
			durationVar(f, &r.wait, "wait", 0, "`DURATION` pause between batches")
			durationVar(f, &r.timeout, "timeout", 5*time.Minute, "`DURATION` time a batch may take to become healthy")
			f.BoolVar(&r.ignoreChecks, "ignore-checks", false, "do not wait for service checks")
			f.BoolVar(&r.reschedule, "reschedule", false, "stop allocations so that Nomad replaces them")
			f.BoolVar(&r.full, "full", false, "stop the whole job and register it again")
			f.BoolVar(&r.background, "background", false, "print the operation's ID and return")
			f.BoolVarP(&r.yes, "yes", "y", false, "do not prompt")
		},
	}
}

func (r *restart) Run(ctx context.Context, req *router.Request) error {
	if err := r.check(req); err != nil {
		return router.Exit(2, fmt.Errorf("restart: %w", err))
	}
	job, err := currentJob(ctx, req)
	if err != nil {
		return err
	}
	if _, err := groupOf(job, req.Target.Part); err != nil {
		return err
	}
	// Another operation may have stopped the job temporarily.
	if err := req.Access.Operations.CheckNoneRunning(); err != nil {
		return err
	}
	if err := checkRestartable(job); err != nil {
		return err
	}
	work := func(ctx context.Context, w ops.Operation) error { return r.restartFull(ctx, w, job) }
	if r.full {
		// The stop adds a version, too.
		warning, err := saveRelease(ctx, req.Access.Cluster, req.Access.Operations.Saved(), job, 2)
		if err != nil {
			return err
		}
		if err := confirmWarnings(ctx, req, r.yes, warning); err != nil {
			return err
		}
		if live := liveAllocations(job, ""); len(live) > 1 {
			if err := confirm(ctx, req, r.yes, "Stop and start %s in tier %s, with %s?",
				job.ID, job.Tier, plural(len(live), "running allocation")); err != nil {
				return err
			}
		}
	} else {
		targets := r.targets(req, job)
		failed, unreschedulable := failedAllocations(job, r.isSelected(req))
		missing := missingAllocations(job, req.Target.Part.Group)
		if req.Target.Allocation != nil || req.Target.Part.Task != "" {
			missing = nil
		}
		skipped := r.skipped(req, job)
		nothing := len(targets)+len(failed)+len(unreschedulable)+len(missing) == 0
		if nothing && len(skipped) > 0 {
			return fmt.Errorf("%s has nothing to restart: %s (see: status %s)", req.Args[0], skippedText(skipped), job.ID)
		}
		if nothing {
			return fmt.Errorf("%s has no running allocations (see: status %s)", req.Args[0], job.ID)
		}
		if err := checkReplaceable(job, unreschedulable); err != nil {
			return err
		}
		if len(unreschedulable) > 0 {
			warning, err := saveRelease(ctx, req.Access.Cluster, req.Access.Operations.Saved(), job, 2)
			if err != nil {
				return err
			}
			if err := confirmWarnings(ctx, req, r.yes, warning); err != nil {
				return err
			}
			if err := confirm(ctx, req, r.yes, "The reschedule block does not let Nomad replace %s of %s. "+
				"Register the job with one attempt and then restore it (this adds 2 versions)?",
				failedOrStoppedText(unreschedulable), job.ID); err != nil {
				return err
			}
		}
		size, err := batchSize(r.batch, len(targets))
		if err != nil {
			return router.Exit(2, fmt.Errorf("restart: %w", err))
		}
		work = (&rollingRestart{
			job: job, targets: targets, batchSize: size, wait: r.wait, timeout: r.timeout, replace: r.reschedule,
			ignoreChecks: r.ignoreChecks, failed: failed, unreschedulable: unreschedulable, missing: missing, skipped: skipped,
		}).restartAll
	}
	op, err := req.Access.Operations.Start(ctx, work)
	if err != nil {
		return err
	}
	if r.background {
		fmt.Fprintf(req.Console.Stderr, "restarting %s in the background (see: ops %s)\n", escape.Text(req.Args[0]), op.ID)
		return printResult(req, "%s", op.ID)
	}
	unit := "batch"
	if r.full {
		unit = "step"
	}
	return followOp(ctx, req, op, unit)
}

func (r *restart) check(req *router.Request) error {
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
	case r.wait < 0 || r.timeout <= 0:
		return errors.New("--timeout takes a duration above 0, such as 30s")
	}
	_, err := batchSize(r.batch, 1)
	return err
}

// checkRestartable returns an error for a job that cannot be restarted in its current state.
func checkRestartable(job backends.JobDetail) error {
	switch {
	case job.Periodic, job.Parameterized:
		return fmt.Errorf("%s has no tasks of its own: restart one of its child jobs (see: ps %s)", job.ID, job.ID)
	case job.Stopped:
		return fmt.Errorf("%s is stopped (see: start %s)", job.ID, job.ID)
	case job.LatestDeployment != nil && isActive(*job.LatestDeployment):
		d := job.LatestDeployment
		return fmt.Errorf("%s is being deployed: deployment %s of version %d is %s; wait until it finishes, or fail it "+
			"(see: deployment %s; fail it: fail %s)", job.ID, shortID(d.ID), d.Version, d.Status, job.ID, job.ID)
	}
	return nil
}

// batchSize parses --batch. It returns the number of allocations in a batch: N, or N% of all, but at least 1.
func batchSize(text string, all int) (int, error) {
	number, percent := strings.CutSuffix(text, "%")
	n, ok := parseNumber(number)
	switch {
	case !ok || n < 1 || percent && n > 100:
		return 0, fmt.Errorf("--batch takes a number above 0, or a percentage such as 25%%, not %q", text)
	case percent:
		return max(1, all*n/100), nil
	}
	return n, nil
}

// isSelected returns a function that reports whether the command selects an allocation for replacement: the named
// allocation, or the failed allocations of the job or group.
func (r *restart) isSelected(req *router.Request) func(backends.Allocation) bool {
	return func(a backends.Allocation) bool {
		if req.Target.Allocation != nil {
			return a.ID == req.Target.Allocation.ID
		}
		return a.Status == "failed" && (req.Target.Part.Group == "" || a.Group == req.Target.Part.Group)
	}
}

// target is an allocation to restart, or one of its tasks.
type target struct {
	backends.Allocation
	task string // empty: all tasks
}

func (r *restart) targets(req *router.Request, job backends.JobDetail) (all []target) {
	task := req.Target.Part.Task
	if req.Target.Task != nil {
		task = req.Target.Task.Name
	}
	for _, a := range liveAllocations(job, req.Target.Part.Group) {
		if a.Desired != "run" || a.Status != "running" || req.Target.Allocation != nil && a.ID != req.Target.Allocation.ID {
			continue
		}
		if task == "" || slices.ContainsFunc(a.Tasks, func(t backends.Task) bool { return t.Name == task && a.Runs(t) }) {
			all = append(all, target{a, task})
		}
	}
	return all
}

// skipped returns the selected allocations that cannot be restarted in their current state.
func (r *restart) skipped(req *router.Request, job backends.JobDetail) (all []backends.Allocation) {
	for _, a := range job.Allocations {
		switch {
		case a.Status != "pending" && a.Status != "unknown" || a.Desired != "run":
		case req.Target.Part.Group != "" && a.Group != req.Target.Part.Group,
			req.Target.Allocation != nil && a.ID != req.Target.Allocation.ID:
		default:
			all = append(all, a)
		}
	}
	return all
}

// skippedText lists skipped allocations with the reason.
func skippedText(skipped []backends.Allocation) string {
	var all []string
	for _, a := range skipped {
		state := "is pending"
		if a.Status == "unknown" {
			state = "is on a disconnected node and may still be running"
		}
		all = append(all, allocationLabel(a)+" "+state)
	}
	return strings.Join(all, ", ")
}

// followOp prints the progress of an operation until it finishes. If the session ends first, or on Ctrl-C, it requests
// that the operation stops after the current unit (batch or step). A second Ctrl-C detaches from the operation.
func followOp(ctx context.Context, req *router.Request, op *ops.Op, unit string) error {
	report := req.Console.NewProgressLine()
	defer report.Clear()
	shown := 0 // notes that are not transient
	err := op.Follow(ctx, func(n ops.Note) error {
		if !n.Transient {
			shown++
		}
		return report.Print(n.Text, n.Transient)
	})
	if op.IsFinished() {
		return err
	}
	if req.Console.Terminal == nil || !errors.Is(err, console.ErrInterrupted) {
		op.Halt("the client disconnected")
		return err
	}
	code := router.ExitCode(err)
	op.Halt("cancelled with Ctrl-C")
	report.Printf("stopping after the current %s; press Ctrl-C again to detach while it finishes in the background "+
		"(see: ops %s)",
		unit, op.ID)
	ctx, detach := context.WithCancelCause(context.WithoutCancel(ctx))
	defer detach(nil)
	go func() {
		for presses := 0; presses < 2; { // the first Ctrl-C has not been read yet
			key, err := req.Console.Ask(ctx, "")
			if err != nil {
				break
			}
			if key == console.CtrlC {
				presses++
			}
		}
		detach(console.ErrInterrupted)
	}()
	err = op.Follow(ctx, func(n ops.Note) error {
		if !n.Transient && shown > 0 {
			shown--
			return nil
		}
		return report.Print(n.Text, n.Transient)
	})
	if err != nil {
		return router.Exit(code, err)
	}
	return nil
}
