package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(stop) }) }

type stop struct {
	waitFlags
	purge, yes             bool
	children, keepChildren bool
}

func (s *stop) Spec() router.Spec {
	return router.Spec{
		Name:          "stop",
		Args:          "JOB|JOB/GROUP|ID",
		Short:         "Stop a job or part of it",
		Group:         router.GroupChange,
		Rank:          1,
		Target:        router.TargetPart,
		Set:           router.Operate,
		WantsTerminal: true,
		FindsSaved:    true,
		Rights:        map[string]router.RightSet{"purge": router.Admin},
		Long: `
Stop a job, a group or an allocation, and wait until nothing of it is running. Nomad
continues if you disconnect. On a terminal, stop prompts if more than one allocation
is running.

  JOB        is stopped. "start" brings it back.
  JOB/GROUP  is scaled to 0 (see: scale).
  ID         is an allocation ID or the exec ID of one of its tasks. The
             allocation is stopped, and Nomad replaces it.

Nomad deletes a stopped job after some hours. The gateway saves its definition for
30 days, so that "start" still works. It saves nothing for --purge and child jobs.

If a periodic or parameterized job has running child jobs, stop asks whether to
stop them too. Without a terminal, they keep running. The number of child jobs that
are still running is reported.`,
		Examples: []router.Example{
			{Line: "stop p-team1-web"},
			{Line: "stop -y p-team1-api/web", Comment: "a group, no prompt"},
			{Line: "stop 45fed1138a", Comment: "an allocation"},
			{Line: "stop --children p-team1-import", Comment: "with its child jobs"},
		},
		Flags: func(f *pflag.FlagSet) {
			s.waitFlags.bind(f)
			f.BoolVar(&s.purge, "purge", false, "also delete the job from Nomad; needs the purge right")
			f.BoolVarP(&s.yes, "yes", "y", false, "do not prompt")
			f.BoolVar(&s.children, "children", false, "also stop running child jobs")
			f.BoolVar(&s.keepChildren, "keep-children", false, "do not stop child jobs and do not prompt")
		},
	}
}

func (s *stop) Run(ctx context.Context, req *router.Request) error {
	if err := s.check(req); err != nil {
		return err
	}
	job, err := currentJob(ctx, req)
	if errors.Is(err, backends.ErrNotFound) {
		return s.stopDeleted(req, err)
	}
	if err != nil {
		return err
	}
	if err := req.CheckNoPendingRestore(); err != nil { // what has stopped it starts it again
		return err
	}
	if req.Allocation != nil {
		return s.stopAllocation(ctx, req, job)
	}
	group, err := groupOf(job, req.Part)
	if err != nil {
		return err
	}
	if group == nil {
		return s.stopJob(ctx, req, job)
	}
	hit := liveAllocations(job, group.Name)
	if (group.Count == 0 || job.Stopped) && len(hit) == 0 {
		return printNotice(req, "%s is stopped already%s", req.Args[0], disconnectedText(job, group.Name))
	}
	if len(hit) > 1 {
		if err := confirm(ctx, req, s.yes, "Stop %s in tier %s: %s?", req.Args[0], job.Tier, plural(len(hit), "running allocation")); err != nil {
			return err
		}
	}
	warning, err := saveRelease(ctx, req.Cluster, req.SavedDefinitions(), job, 1)
	if err != nil {
		return err
	}
	if err := confirmWarnings(ctx, req, s.yes, warning); err != nil {
		return err
	}
	outcome, err := req.Operations.Scale(ctx, job.Job, group.Name, 0)
	var refused *backends.RejectedError
	if errors.As(err, &refused) && strings.Contains(refused.Reason, "scaling policy minimum") && group.Scaling != nil {
		return fmt.Errorf("the scaling block of %s/%s allows no less than %d: stop the job, or scale %s %d", job.ID, group.Name, group.Scaling.Min, req.Args[0], group.Scaling.Min)
	}
	if err != nil {
		return jobError(job.Job, err)
	}
	if s.detach {
		return s.printEvaluation(req, outcome)
	}
	if err := s.waitUntilScaled(ctx, req, job.Job, group.Name, 0, outcome); err != nil {
		return err
	}
	return printResult(req, "stopped %s: %s%s", req.Args[0], stoppedText(ctx, req, job, group.Name), evaluationSuffix(outcome))
}

// stopJob stops a whole job.
func (s *stop) stopJob(ctx context.Context, req *router.Request, job backends.JobDetail) error {
	children, err := runningChildren(ctx, req, job)
	if err != nil {
		return err
	}
	if err := s.askChildren(ctx, req, children); err != nil {
		return err
	}
	hit := liveAllocations(job, "")
	if job.Stopped && len(hit) == 0 && !s.purge {
		printNotice(req, "%s is stopped already%s", req.Args[0], disconnectedText(job, ""))
		left, err := s.stopChildren(ctx, req, job)
		reportChildren(req, job, left)
		return err
	}
	if len(hit) > 1 {
		if err := confirm(ctx, req, s.yes, "Stop %s in tier %s: %s?", req.Args[0], job.Tier, plural(len(hit), "running allocation")); err != nil {
			return err
		}
	}
	outcome, saved, err := s.saveAndStop(ctx, req, job)
	if err != nil {
		return jobError(job.Job, err)
	}
	if saved {
		defer printNotice(req, "%s", startableText(job))
	}
	if s.detach {
		err = s.printEvaluation(req, outcome)
	} else if !s.purge {
		err = s.waitUntilScaled(ctx, req, job.Job, "", 0, outcome)
	}
	within, cancel := s.withTimeout(ctx)
	defer cancel()
	left, childErr := s.stopChildren(within, req, job)
	reportChildren(req, job, left)
	if err := errors.Join(err, s.explainWaitError(childErr, job.Job)); err != nil || s.detach {
		return err
	}
	done, running := "stopped", ""
	if s.purge {
		done = "stopped and purged"
	}
	if len(left) > 0 {
		running = "; " + childJobsAre(len(left)) + " still running"
	}
	return printResult(req, "%s %s: %s%s%s", done, req.Args[0], stoppedText(ctx, req, job, ""), running, evaluationSuffix(outcome))
}

// saveAndStop stops a job that is saved before, so that start can bring it back, or purges it and what is saved of it.
func (s *stop) saveAndStop(ctx context.Context, req *router.Request, job backends.JobDetail) (outcome backends.WriteResult, saved bool, err error) {
	if s.purge {
		outcome, err = req.Operations.Stop(ctx, job.Job, true)
		if err == nil {
			err = s.dropSaved(req)
		}
		return outcome, false, err
	}
	if job.Stopped { // by somebody else, and something of it still runs
		outcome, err = req.Operations.Stop(ctx, job.Job, false)
		return outcome, false, err
	}
	lost, err := saveRelease(ctx, req.Cluster, req.SavedDefinitions(), job, 1)
	if err != nil {
		return outcome, false, err
	}
	id, unsaved := "", ""
	if job.ID == job.Root { // a child job runs once: it is not saved
		if id, unsaved, err = saveStopped(ctx, req.Cluster, req.SavedDefinitions(), job); err != nil {
			return outcome, false, err
		}
	}
	err = confirmWarnings(ctx, req, s.yes, lost, unsaved)
	if err == nil {
		outcome, err = req.Operations.Stop(ctx, job.Job, false)
	}
	if err != nil && !errors.Is(err, backends.ErrOutcomeUnknown) {
		err = errors.Join(err, req.SavedDefinitions().DeleteByID(id)) // what another stop has saved since stays
	}
	_, saved = req.SavedDefinitions().Find(ops.Stopped)
	return outcome, saved, err
}

// stopDeleted is for a job that Nomad has deleted and the gateway may have saved.
func (s *stop) stopDeleted(req *router.Request, gone error) error {
	k, ok := req.SavedDefinitions().Find(ops.Stopped)
	switch {
	case !ok:
		return gone
	case !s.purge:
		return printNotice(req, "%s is stopped already, and Nomad has deleted it; start %s brings it back until %s", req.Job.ID, req.Job.ID, k.Time.Add(ops.Retention).Format("2006-01-02 15:04Z"))
	}
	if err := s.dropSaved(req); err != nil {
		return err
	}
	return printResult(req, "purged %s: deleted the gateway's saved definition", req.Job.ID)
}

// dropSaved drops what the gateway has saved of a job.
func (s *stop) dropSaved(req *router.Request) error {
	err := errors.Join(req.SavedDefinitions().Delete(ops.Stopped), req.SavedDefinitions().Delete(ops.Released))
	if err != nil {
		return fmt.Errorf("%s is purged, but the gateway cannot remove the definition that it saved: %w", req.Job.ID, err)
	}
	return nil
}

// stoppedText counts the allocations of a job or group that were stopped. job is as it was before. A node may have lost its
// connection to Nomad since, so the job is read again.
func stoppedText(ctx context.Context, req *router.Request, job backends.JobDetail, group string) string {
	n, left := len(liveAllocations(job, group)), disconnectedText(job, group)
	if now, err := req.Cluster.Job(ctx, job.Job); err == nil {
		left = disconnectedText(now, group)
		for _, a := range liveAllocations(job, group) {
			if slices.ContainsFunc(now.Allocations, func(b backends.Allocation) bool { return b.ID == a.ID && b.Status == "unknown" }) {
				n--
			}
		}
	}
	if n == 0 && left != "" {
		return strings.TrimPrefix(left, "; ")
	}
	return plural(n, "allocation") + left
}

// disconnectedText counts the allocations on nodes that have lost their connection to Nomad.
func disconnectedText(job backends.JobDetail, group string) string {
	n := 0
	for _, a := range job.Allocations {
		if a.Status == "unknown" && (group == "" || a.Group == group) {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %s on a disconnected node may still be running", plural(n, "allocation"))
}

func (s *stop) check(req *router.Request) error {
	if err := s.waitFlags.check(); err != nil {
		return err
	}
	switch {
	case req.Part.Task != "":
		return router.Exit(2, errors.New("stop: a task cannot be stopped by itself: stop its group, or restart the task"))
	case s.children && s.keepChildren:
		return router.Exit(2, errors.New("stop: --children and --keep-children exclude each other"))
	case (s.children || s.keepChildren) && (req.Allocation != nil || req.Part.Group != ""):
		return router.Exit(2, errors.New("stop: only a whole job has child jobs"))
	case s.purge && (req.Allocation != nil || req.Part.Group != ""):
		return router.Exit(2, errors.New("stop: only a whole job can be purged"))
	case s.purge:
		return req.Require("purge")
	}
	return nil
}

// stopAllocation stops one allocation, all tasks of it.
func (s *stop) stopAllocation(ctx context.Context, req *router.Request, job backends.JobDetail) error {
	a := *req.Allocation
	if a.Terminal() {
		return fmt.Errorf("allocation %s of %s does not run: it is %s", shortID(a.ID), job.ID, a.Status)
	}
	outcome, err := req.Operations.StopAllocation(ctx, a)
	if err != nil {
		return jobError(job.Job, err)
	}
	if s.detach {
		return s.printEvaluation(req, outcome)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	report := newProgressPrinter(req)
	report.progress("stopping allocation %s", shortID(a.ID))
	var next string
	err = pollJob(ctx, req.Cluster, job.Job, report.progress, func(now backends.JobDetail) (bool, error) {
		for _, b := range now.Allocations {
			if b.ID == a.ID {
				next = b.Next
				return b.Terminal(), checkReachable(b)
			}
		}
		return true, nil
	})
	report.clear()
	if err != nil {
		return s.explainWaitError(err, job.Job)
	}
	replaced := "Nomad replaces it"
	switch {
	case job.Type == "system" || job.Type == "sysbatch":
		replaced = "of a " + job.Type + " job Nomad does not replace it until the job or its node changes"
		if job.Type == "system" {
			replaced += fmt.Sprintf(" (bring it back: start %s)", job.ID)
		}
	case next != "":
		replaced += " by " + shortID(next)
	}
	return printResult(req, "stopped allocation %s of %s; %s%s", shortID(a.ID), job.ID, replaced, evaluationSuffix(outcome))
}

// checkReachable returns an error for an allocation that Nomad is to stop and whose node it cannot reach.
func checkReachable(a backends.Allocation) error {
	switch a.Status {
	case "unknown":
		return fmt.Errorf("allocation %s is not stopped: its node %s is disconnected from Nomad, and the allocation may still be running there; Nomad stops it when the node reconnects (see: status %s)", shortID(a.ID), a.Node, a.JobID)
	case "lost":
		return fmt.Errorf("allocation %s is lost: its node %s is down, and the allocation may still be running there (see: status %s)", shortID(a.ID), a.Node, a.JobID)
	}
	return nil
}
