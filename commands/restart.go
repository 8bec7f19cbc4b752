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
		Set:           router.Operate,
		WantsTerminal: true,
		Long: `
Restart the tasks of a job, group, task or allocation in place, one batch at a
time. ID is an exec ID for one task, or an allocation ID for all of its tasks.

Each batch starts when all tasks of the previous batch are running and the checks of
their Nomad services pass (Consul checks are ignored). The restart stops at the first batch that does not become
healthy and reports which allocations were restarted.

First, failed allocations are replaced and missing ones are placed. If the
reschedule block allows no attempt, the gateway prompts and registers the job twice:
with one attempt, then with its original definition. A stopped allocation of a system job is replaced if you select it by ID.

If you disconnect, the current batch finishes and the restart stops. Use
--background to let it run to completion; "ops" lists and cancels restarts.

--full prompts if more than one allocation is running, and saves the job's
definition before it stops the job. If the job cannot be
registered again, the definition is printed with the command that restores it.`,
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
	if _, err := groupOf(job, req.Part); err != nil {
		return err
	}
	if err := req.CheckNoOperation(); err != nil { // the other one may have stopped it for a moment
		return err
	}
	if err := checkRestartable(job); err != nil {
		return err
	}
	work := func(ctx context.Context, w router.Work) error { return r.restartFull(ctx, w, job) }
	if r.full {
		warning, err := saveRelease(ctx, req.Cluster, req.SavedDefinitions(), job, 2) // the stop is a version too
		if err != nil {
			return err
		}
		if err := confirmWarnings(ctx, req, r.yes, warning); err != nil {
			return err
		}
		if hit := liveAllocations(job, ""); len(hit) > 1 {
			if err := confirm(ctx, req, r.yes, "Stop and start %s in tier %s: %s?", job.ID, job.Tier, plural(len(hit), "running allocation")); err != nil {
				return err
			}
		}
	} else {
		targets := r.targets(req, job)
		failed, given := failedAllocations(job, r.isSelected(req))
		missing := missingAllocations(job, req.Part.Group)
		if req.Allocation != nil || req.Part.Task != "" {
			missing = nil
		}
		left := r.skipped(req, job)
		if len(targets)+len(failed)+len(given)+len(missing) == 0 && len(left) > 0 {
			return fmt.Errorf("nothing of %s can be restarted: %s (see: status %s)", req.Args[0], skippedText(left), job.ID)
		}
		if len(targets)+len(failed)+len(given)+len(missing) == 0 {
			return fmt.Errorf("nothing of %s runs (see: status %s)", req.Args[0], job.ID)
		}
		if err := checkReplaceable(job, given); err != nil {
			return err
		}
		if len(given) > 0 {
			warning, err := saveRelease(ctx, req.Cluster, req.SavedDefinitions(), job, 2)
			if err != nil {
				return err
			}
			if err := confirmWarnings(ctx, req, r.yes, warning); err != nil {
				return err
			}
			if err := confirm(ctx, req, r.yes, "The reschedule block does not let Nomad replace %s of %s. Register the job with one attempt, then restore it? This adds 2 versions.", failedOrStopped(given), job.ID); err != nil {
				return err
			}
		}
		size, err := batchSize(r.batch, len(targets))
		if err != nil {
			return router.Exit(2, fmt.Errorf("restart: %w", err))
		}
		work = (&rolling{job: job, targets: targets, batchSize: size, wait: r.wait, timeout: r.timeout, replace: r.reschedule, ignoreChecks: r.ignoreChecks, failed: failed, unreschedulable: given, missing: missing, skipped: left}).restartAll
	}
	op, err := req.StartOperation(ctx, work)
	if err != nil {
		return err
	}
	if r.background {
		fmt.Fprintf(req.Stderr, "it goes on in the background (see: ops %s)\n", op.ID)
		return printResult(req, "%s", op.ID)
	}
	return followOp(ctx, req, op)
}

func (r *restart) check(req *router.Request) error {
	switch {
	case r.full && (req.Part != router.Part{} || req.Allocation != nil):
		return errors.New("--full is for a whole job")
	case r.full && r.reschedule:
		return errors.New("--full and --reschedule exclude each other")
	case r.reschedule && (req.Part.Task != "" || req.Task != nil):
		return errors.New("--reschedule replaces allocations, with all their tasks: name the group or the allocation")
	case r.reschedule && (req.Job.Type == "system" || req.Job.Type == "sysbatch"):
		return fmt.Errorf("Nomad does not replace an allocation of a %s job that is stopped: restart it in place", req.Job.Type)
	case r.wait < 0 || r.timeout <= 0:
		return errors.New("--wait and --timeout take times, such as 30s")
	}
	_, err := batchSize(r.batch, 1)
	return err
}

// checkRestartable returns an error for a job whose restart makes no sense now.
func checkRestartable(job backends.JobDetail) error {
	switch {
	case job.Periodic, job.Parameterized:
		return fmt.Errorf("%s only launches others: restart one of those (see: ps %s)", job.ID, job.ID)
	case job.Stopped:
		return fmt.Errorf("%s is stopped (see: start %s)", job.ID, job.ID)
	case job.LatestDeployment != nil && isActive(*job.LatestDeployment):
		return fmt.Errorf("%s is being deployed: deployment %s of version %d is %s; wait for its end, or end it (see: deployment %s, fail %s)",
			job.ID, shortID(job.LatestDeployment.ID), job.LatestDeployment.Version, job.LatestDeployment.Status, job.ID, job.ID)
	}
	return nil
}

// batchSize returns how many allocations of all are a batch: at least one.
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

// isSelected reports whether an allocation is among those that the command is about, as a whole.
func (r *restart) isSelected(req *router.Request) func(backends.Allocation) bool {
	return func(a backends.Allocation) bool {
		if req.Allocation != nil {
			return a.ID == req.Allocation.ID
		}
		return a.Status == "failed" && (req.Part.Group == "" || a.Group == req.Part.Group)
	}
}

// target is what is to be restarted of one allocation.
type target struct {
	backends.Allocation
	task string // empty: all
}

func (r *restart) targets(req *router.Request, job backends.JobDetail) (all []target) {
	task := req.Part.Task
	if req.Task != nil {
		task = req.Task.Name
	}
	for _, a := range liveAllocations(job, req.Part.Group) {
		if a.Desired != "run" || a.Status != "running" || req.Allocation != nil && a.ID != req.Allocation.ID {
			continue
		}
		if task == "" || slices.ContainsFunc(a.Tasks, func(t backends.Task) bool { return t.Name == task && a.Runs(t) }) {
			all = append(all, target{a, task})
		}
	}
	return all
}

// skipped returns the allocations that the command is about, and that cannot be restarted in their state.
func (r *restart) skipped(req *router.Request, job backends.JobDetail) (all []backends.Allocation) {
	for _, a := range job.Allocations {
		switch {
		case a.Status != "pending" && a.Status != "unknown" || a.Desired != "run":
		case req.Part.Group != "" && a.Group != req.Part.Group, req.Allocation != nil && a.ID != req.Allocation.ID:
		default:
			all = append(all, a)
		}
	}
	return all
}

// skippedText lists allocations with the reason why they are not restarted.
func skippedText(skipped []backends.Allocation) string {
	var all []string
	for _, a := range skipped {
		why := "is pending"
		if a.Status == "unknown" {
			why = "is on a disconnected node and may still be running"
		}
		all = append(all, allocationLabel(a)+" "+why)
	}
	return strings.Join(all, ", ")
}

// followOp shows an operation that the session has begun until it ends. If the session ends first, the operation is asked to
// end after what it is about; so it is by Ctrl-C, and a second one leaves it alone.
func followOp(ctx context.Context, req *router.Request, op *ops.Op) error {
	report := newProgressPrinter(req)
	defer report.clear()
	shown := 0 // of the notes that last
	err := op.Follow(ctx, func(n ops.Note) error {
		if !n.Transient {
			shown++
		}
		return report.print(n)
	})
	if ended, _ := op.Finished(); !ended.IsZero() {
		return err
	}
	if req.Terminal == nil || !errors.Is(err, router.ErrInterrupted) {
		op.Halt("its client has left")
		return err
	}
	code := router.ExitCode(err)
	op.Halt("interrupted")
	report.printf("it ends after what it is about; Ctrl-C again leaves it alone (see: ops %s)", op.ID)
	ctx, leave := context.WithCancelCause(context.WithoutCancel(ctx))
	defer leave(nil)
	go func() {
		for presses := 0; presses < 2; { // the first one is still to be read
			key, err := req.Ask(ctx, "")
			if err != nil {
				break
			}
			if key == ctrlC {
				presses++
			}
		}
		leave(router.ErrInterrupted)
	}()
	err = op.Follow(ctx, func(n ops.Note) error {
		if !n.Transient && shown > 0 {
			shown--
			return nil
		}
		return report.print(n)
	})
	if err != nil {
		return router.Exit(code, err)
	}
	return nil
}

const ctrlC = 3
