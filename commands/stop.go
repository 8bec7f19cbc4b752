package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/childjobs"
	"nomadctld/internal/jobrelease"
	"nomadctld/internal/monitor"
	"nomadctld/internal/ops"
	"nomadctld/internal/phrase"
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
		RightSet:      router.Operate,
		WantsTerminal: true,
		FindsSaved:    true,
		FlagRights:    map[string]router.RightSet{"purge": router.Admin},
		Long: `
Stop a job, a group or an allocation, and wait until nothing of it is running. Nomad
continues even if you disconnect. On a terminal, stop prompts if more than one allocation
is running.

  JOB        is stopped. "start" brings it back.
  JOB/GROUP  is scaled to 0 (see: scale).
  ID         is an allocation ID or the exec ID of one of its tasks. The
             allocation is stopped. Nomad replaces it, except in system and
             sysbatch jobs.

Nomad deletes a stopped job after some hours. The gateway saves its definition for
30 days, so that "start" still works. If it cannot, stop warns, and prompts on a
terminal. It saves nothing for --purge and child jobs.

If a periodic or parameterized job has running child jobs, stop asks whether to
stop them too. Without a terminal or with -y, they keep running unless you use
--children. The number of child jobs that are still running is reported.`,
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
			f.BoolVar(&s.keepChildren, "keep-children", false, "do not stop child jobs, and do not ask about them")
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
		return notStopped(req, err)
	}
	// A running operation may register the job again, which would undo this change.
	if err := req.Access.Operations.CheckNoPendingRestore(); err != nil {
		return err
	}
	if req.Target.Allocation != nil {
		return s.stopAllocation(ctx, req, job)
	}
	group, err := req.Target.Part.GroupIn(job)
	if err != nil {
		return err
	}
	if group == nil {
		return s.stopJob(ctx, req, job)
	}
	active := monitor.ActiveAllocations(job, group.Name)
	if (group.Count == 0 || job.Stopped) && len(active) == 0 {
		return printNotice(req, "%s is already stopped%s", req.Args[0], monitor.DisconnectedText(job, group.Name))
	}
	if err := s.confirmStop(ctx, req, job, active); err != nil {
		return err
	}
	warning, err := jobrelease.Save(ctx, req.Access.Cluster, req.Access.Operations.Saved(), job, 1)
	if err != nil {
		return notStopped(req, err)
	}
	if err := confirmWarnings(ctx, req, s.yes, warning); err != nil {
		return err
	}
	result, err := req.Access.Writer.Scale(ctx, job.Job, group.Name, 0)
	var rejected *backends.RejectedError
	isBelowMin := errors.As(err, &rejected) && strings.Contains(rejected.Reason, "scaling policy minimum")
	if isBelowMin && group.Scaling != nil {
		return fmt.Errorf("the scaling block of %s/%s allows no less than %d: stop the job, or scale %s %d",
			job.ID, group.Name, group.Scaling.Min, req.Args[0], group.Scaling.Min)
	}
	if err != nil {
		return notStopped(req, phrase.JobError(job.Job, err))
	}
	if s.detach {
		return s.printEvaluation(req, result)
	}
	if err := s.waitUntilScaled(ctx, req, job.Job, group.Name, 0, result); err != nil {
		return err
	}
	return printResult(req, "stopped %s%s%s",
		req.Args[0], stoppedText(ctx, req, job, group.Name), evaluationSuffix(result))
}

// notStopped adds to an ErrUnreachable that nothing was stopped, unless the response to a change was lost.
func notStopped(req *router.Request, err error) error {
	if errors.Is(err, backends.ErrUnreachable) && !errors.Is(err, backends.ErrOutcomeUnknown) {
		return fmt.Errorf("%s was not stopped: %w", req.Args[0], err)
	}
	return err
}

// confirmStop prompts if several allocations would be stopped.
func (s *stop) confirmStop(
	ctx context.Context, req *router.Request, job backends.JobDetail, active []backends.Allocation,
) error {
	if len(active) <= 1 {
		return nil
	}
	return confirm(ctx, req, s.yes, "Stop %s in tier %s, with %s?",
		req.Args[0], job.Tier, phrase.Count(len(active), "running allocation"))
}

// stopJob stops a whole job.
func (s *stop) stopJob(ctx context.Context, req *router.Request, job backends.JobDetail) error {
	children, err := childjobs.Running(ctx, req.Access.Cluster, job)
	if err != nil {
		return notStopped(req, err)
	}
	if err := s.askChildren(ctx, req, children); err != nil {
		return err
	}
	active := monitor.ActiveAllocations(job, "")
	if job.Stopped && len(active) == 0 && !s.purge {
		printNotice(req, "%s is already stopped%s", req.Args[0], monitor.DisconnectedText(job, ""))
		left, err := s.stopChildren(ctx, req, job)
		printChildren(req, job, left)
		return err
	}
	if err := s.confirmStop(ctx, req, job, active); err != nil {
		return err
	}
	result, saved, err := s.saveAndStop(ctx, req, job)
	if err != nil {
		return notStopped(req, phrase.JobError(job.Job, err))
	}
	if saved {
		defer printNotice(req, "%s", jobrelease.StartableText(job))
	}
	if s.detach {
		err = s.printEvaluation(req, result)
	} else if !s.purge {
		err = s.waitUntilScaled(ctx, req, job.Job, "", 0, result)
	}
	childCtx, cancel := s.withTimeout(ctx)
	defer cancel()
	left, childErr := s.stopChildren(childCtx, req, job)
	printChildren(req, job, left)
	if err := errors.Join(err, s.explainWaitError(childErr, job.Job)); err != nil || s.detach {
		return err
	}
	done, running := "stopped", ""
	if s.purge {
		done = "stopped and purged"
	}
	if len(left) > 0 {
		running = "; " + childjobs.CountAre(len(left)) + " still running"
	}
	return printResult(req, "%s %s%s%s%s",
		done, req.Args[0], stoppedText(ctx, req, job, ""), running, evaluationSuffix(result))
}

// saveAndStop saves a job's definition, so that start can bring it back, and stops the job. With --purge it purges
// the job and deletes its saved definitions. saved reports whether the gateway has saved the job.
func (s *stop) saveAndStop(
	ctx context.Context, req *router.Request, job backends.JobDetail,
) (result backends.WriteResult, saved bool, err error) {
	if s.purge {
		result, err = req.Access.Writer.Stop(ctx, job.Job, true)
		if err == nil {
			err = jobrelease.DeleteSaved(req.Access.Operations.Saved(), job.ID)
		}
		return result, false, err
	}
	if job.Stopped { // somebody else stopped it, and some allocations are still running
		result, err = req.Access.Writer.Stop(ctx, job.Job, false)
		return result, false, err
	}
	releaseWarning, err := jobrelease.Save(ctx, req.Access.Cluster, req.Access.Operations.Saved(), job, 1)
	if err != nil {
		return result, false, err
	}
	id, stoppedWarning := "", ""
	if job.ID == job.Root { // a child job is not saved, because it runs only once
		if id, stoppedWarning, err = jobrelease.SaveStopped(ctx, req.Access.Cluster, req.Access.Operations.Saved(),
			job); err != nil {
			return result, false, err
		}
	}
	err = confirmWarnings(ctx, req, s.yes, releaseWarning, stoppedWarning)
	if err == nil {
		result, err = req.Access.Writer.Stop(ctx, job.Job, false)
	}
	if err != nil && !errors.Is(err, backends.ErrOutcomeUnknown) {
		err = errors.Join(err, req.Access.Operations.Saved().DeleteByID(id)) // by ID: another stop may have saved a newer one
	}
	_, saved = req.Access.Operations.Saved().Find(ops.Stopped)
	return result, saved, err
}

// stopDeleted handles a job that Nomad has deleted. It returns notFound unless the gateway has saved the job's
// definition.
func (s *stop) stopDeleted(req *router.Request, notFound error) error {
	saved, ok := req.Access.Operations.Saved().Find(ops.Stopped)
	switch {
	case !ok:
		return notFound
	case !s.purge:
		return printNotice(req, "%s is already stopped, and Nomad has deleted it (to bring it back, until %s: start %s)",
			req.Target.Job.ID, saved.Time.Add(ops.Retention).Format("2006-01-02 15:04Z"), req.Target.Job.ID)
	}
	if err := jobrelease.DeleteSaved(req.Access.Operations.Saved(), req.Target.Job.ID); err != nil {
		return err
	}
	return printResult(req, "purged %s: deleted the gateway's saved definition", req.Target.Job.ID)
}

// stoppedText returns the number of stopped allocations of a job or group in words, or "". job is the state before the
// stop. The current state shows which allocations are on nodes that have disconnected since.
func stoppedText(ctx context.Context, req *router.Request, job backends.JobDetail, group string) string {
	now, err := req.Access.Cluster.Job(ctx, job.Job)
	if err != nil {
		now = job
	}
	return monitor.StoppedText(job, now, group)
}

func (s *stop) check(req *router.Request) error {
	if err := s.waitFlags.check(req); err != nil {
		return err
	}
	switch {
	case req.Target.Part.Task != "":
		return router.Exit(2, errors.New("stop: a task cannot be stopped alone: stop its group, or restart the task"))
	case s.children && s.keepChildren:
		return router.Exit(2, errors.New("stop: --children and --keep-children are mutually exclusive"))
	case (s.children || s.keepChildren) && (req.Target.Allocation != nil || req.Target.Part.Group != ""):
		return router.Exit(2, errors.New("stop: only a whole job has child jobs"))
	case s.purge && (req.Target.Allocation != nil || req.Target.Part.Group != ""):
		return router.Exit(2, errors.New("stop: only a whole job can be purged"))
	case s.purge:
		return req.Require("purge")
	}
	return nil
}

// stopAllocation stops one allocation with all its tasks.
func (s *stop) stopAllocation(ctx context.Context, req *router.Request, job backends.JobDetail) error {
	a := *req.Target.Allocation
	if a.TerminalStatus() {
		return fmt.Errorf("allocation %s of %s is not running: it %s",
			phrase.ShortID(a.ID), job.ID, phrase.StateClause(a.Status, phrase.ShortID(a.ID)))
	}
	result, err := req.Access.Writer.StopAllocation(ctx, a)
	if err != nil {
		return notStopped(req, phrase.JobError(job.Job, err))
	}
	if s.detach {
		return s.printEvaluation(req, result)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	report := req.Console.NewProgressLine()
	report.Transientf("stopping allocation %s", phrase.ShortID(a.ID))
	next, err := monitor.WaitUntilAllocationStopped(ctx, req.Access.Cluster, job.Job, a.ID, report.Transientf)
	report.Clear()
	if err != nil {
		return s.explainWaitError(err, job.Job)
	}
	return printResult(req, "stopped allocation %s of %s; %s%s", phrase.ShortID(a.ID), job.ID,
		phrase.AfterStop(job.Job, next),
		evaluationSuffix(result))
}

// askChildren prompts whether to stop the children too, unless a flag has decided that.
func (s *stop) askChildren(ctx context.Context, req *router.Request, children []backends.Job) error {
	if len(children) == 0 || s.children || s.keepChildren || s.yes || req.Console.Terminal == nil {
		return nil
	}
	are := "are"
	if len(children) == 1 {
		are = "is"
	}
	key, err := choose(ctx, req, "yk",
		"%s of %s %s running in tier %s. Stop them too? (y)es, (k)eep them running, or do (N)othing [y/k/N] ",
		childjobs.Count(len(children)), req.Target.Job.ID, are, req.Target.Job.Tier)
	if err != nil {
		return err
	}
	s.children, s.keepChildren, s.yes = key == 'y', key == 'k', true
	return nil
}

// stopChildren stops the child jobs of a job if --children or the prompt requests that. It returns those still running.
func (s *stop) stopChildren(
	ctx context.Context, req *router.Request, job backends.JobDetail,
) (left []backends.Job, err error) {
	if !s.children {
		return childjobs.Running(ctx, req.Access.Cluster, job)
	}
	report := req.Console.NewProgressLine()
	stopped, left, err := childjobs.Stop(ctx, req.Access.Cluster, req.Access.Writer, job, s.detach, report.Transientf)
	report.Clear()
	if stopped > 0 {
		done := "stopped"
		if s.detach || err != nil {
			done = "asked Nomad to stop"
		}
		printNotice(req, "%s %s of %s", done, childjobs.Count(stopped), job.ID)
	}
	return left, err
}

// printChildren prints which child jobs are still running.
func printChildren(req *router.Request, job backends.JobDetail, children []backends.Job) {
	if len(children) > 0 {
		printNotice(req, "%s still running: %s (stop them too: stop --children %s)",
			childjobs.CountAre(len(children)), childjobs.List(children), job.ID)
	}
}
