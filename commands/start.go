package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/jobrelease"
	"nomadctld/internal/monitor"
	"nomadctld/internal/ops"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(start) }) }

type start struct {
	waitFlags
	yes bool
}

func (s *start) Spec() router.Spec {
	return router.Spec{
		Name:          "start",
		Args:          "JOB",
		Short:         "Start a stopped job",
		Group:         router.GroupChange,
		Rank:          2,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true,
		FindsSaved:    true,
		Long: `
Start a stopped job: register its last version that ran, unchanged, and wait until
it is running. For a group with a count of 0, use scale.

If Nomad has deleted the job, start uses the definition that the gateway saved when
"stop" stopped the job. Only the gateway instance that ran "stop" has it, for 30
days. On a terminal, start shows the version, the user and the time of that stop, and
prompts, because a newer version may have been registered and deleted since then. If
somebody has registered the deleted job again, start changes nothing and reports that.

If a system job is not stopped, start replaces its stopped and failed allocations.`,
		Examples: []router.Example{
			{Line: "start p-team1-web"},
			{Line: "start --timeout 15m p-team1-web", Comment: "for a job that starts slowly"},
		},
		Flags: func(f *pflag.FlagSet) {
			s.waitFlags.bind(f)
			f.BoolVarP(&s.yes, "yes", "y", false, "do not prompt")
		},
	}
}

func (s *start) Run(ctx context.Context, req *router.Request) error {
	if err := s.waitFlags.check(req); err != nil {
		return err
	}
	job, err := currentJob(ctx, req)
	// A running operation may register the job again, which would undo this change.
	if err := req.Access.Operations.CheckNoneRunning(); err != nil {
		return err
	}
	if errors.Is(err, backends.ErrNotFound) {
		return s.startDeleted(ctx, req, err)
	}
	if err != nil {
		return err
	}
	if !job.Stopped {
		return s.startRunning(ctx, req, job)
	}
	versions, err := req.Access.Cluster.Versions(ctx, job.Job)
	if err != nil {
		return phrase.JobError(job.Job, err)
	}
	now, err := jobrelease.Current(job, versions)
	if err != nil {
		return err
	}
	last := jobrelease.LastRun(now, versions)
	warning, err := jobrelease.Save(ctx, req.Access.Cluster, req.Access.Operations.Saved(), job, 1)
	if err != nil {
		return err
	}
	if err := confirmWarnings(ctx, req, s.yes, warning); err != nil {
		return err
	}
	result, err := req.Access.Writer.Register(ctx, job.Job, last.Definition, job.ModifyIndex)
	if errors.Is(err, backends.ErrNotFound) { // Nomad has deleted the job in the meantime
		result, err = s.registerDeleted(ctx, req, job.Job, last.Definition)
	}
	if err != nil {
		return phrase.JobError(job.Job, err)
	}
	return s.finishStart(ctx, req, job.Job, result, fmt.Sprintf("at version %d", last.Number))
}

// startDeleted starts a job that Nomad has deleted.
func (s *start) startDeleted(ctx context.Context, req *router.Request, notFound error) error {
	saved, ok, err := req.Access.Operations.Saved().Load(ops.Stopped)
	if err != nil {
		return fmt.Errorf("Nomad has deleted %s, and the definition that the gateway saved cannot be used: %w",
			req.Target.Job.ID, err)
	}
	if !ok {
		return notFound
	}
	from := fmt.Sprintf("at version %d, which %s stopped on %s",
		saved.Version, saved.User, saved.Time.UTC().Format("2006-01-02 15:04Z"))
	if err := confirm(ctx, req, s.yes, "Nomad has deleted %s. Start it in tier %s %s?",
		req.Target.Job.ID, req.Target.Job.Tier, from); err != nil {
		return err
	}
	result, err := s.registerDeleted(ctx, req, req.Target.Job, saved.Definition)
	if err != nil {
		return err
	}
	return s.finishStart(ctx, req, req.Target.Job, result, from+"; Nomad had deleted it")
}

// registerDeleted registers a job that Nomad has deleted, and assigns the saved release to the new job.
func (s *start) registerDeleted(
	ctx context.Context, req *router.Request, job backends.Job, definition json.RawMessage,
) (backends.WriteResult, error) {
	job.ModifyIndex = 0
	result, err := req.Access.Writer.Register(ctx, job, definition, 0)
	var changed *backends.ChangedError
	if errors.As(err, &changed) {
		return result, fmt.Errorf("%s was registered again, as version %d: the gateway does not replace it "+
			"with its saved definition (see: status %s)", job.ID, changed.Version, job.ID)
	}
	if err != nil {
		return result, err
	}
	if err := jobrelease.Relink(ctx, req.Access.Cluster, req.Access.Operations.Saved(), job, definition); err != nil {
		req.Console.Statusf("warning: %v", err)
	}
	return result, nil
}

// finishStart deletes the saved definition, which Nomad has now, and waits until the job is running. from describes the
// version that was started.
func (s *start) finishStart(
	ctx context.Context, req *router.Request, job backends.Job, result backends.WriteResult, from string,
) error {
	printWarnings(req, result)
	if err := req.Access.Operations.Saved().Delete(ops.Stopped); err != nil {
		req.Console.Statusf("warning: the gateway cannot remove the saved definition of %s: %v", job.ID, err)
	}
	if s.detach {
		return s.printEvaluation(req, result)
	}
	err := s.waitUntilUp(ctx, req, job, "", result)
	return s.printUp(req, err, "started %s %s%s", job.ID, from, evaluationSuffix(result))
}

// startRunning handles a job that is not stopped. It replaces the stopped allocations of a system job. For a group
// with a count of 0, it returns an error with the command to scale it.
func (s *start) startRunning(ctx context.Context, req *router.Request, job backends.JobDetail) error {
	if err := req.Access.Operations.Saved().Delete(ops.Stopped); err != nil { // the job has been registered again
		req.Console.Statusf("warning: the gateway cannot remove the saved definition of %s: %v", job.ID, err)
	}
	if stopped := stoppedSystemAllocations(job); len(stopped) > 0 {
		return s.startAllocations(ctx, req, job, stopped)
	}
	var hints []string
	for _, g := range job.Groups {
		if g.Count == 0 && job.Type != "system" && job.Type != "sysbatch" {
			count, err := lastCount(ctx, req, job, g.Name)
			if err != nil {
				return err
			}
			hints = append(hints, fmt.Sprintf("group %s has a count of 0: scale %s/%s %d", g.Name, job.ID, g.Name, count))
		}
	}
	if len(hints) > 0 {
		return fmt.Errorf("%s is not stopped, but %s", job.ID, strings.Join(hints, "; "))
	}
	return fmt.Errorf("%s is not stopped: version %d is %s (see: status %s)", job.ID, job.Version, job.Status, job.ID)
}

// lastCount returns the last count of a group that was not 0, or 1 if Nomad has no such version.
func lastCount(ctx context.Context, req *router.Request, job backends.JobDetail, group string) (int, error) {
	versions, err := req.Access.Cluster.Versions(ctx, job.Job)
	if err != nil {
		return 0, phrase.JobError(job.Job, err)
	}
	for _, v := range versions {
		if g, ok := v.Release.Group(group); ok && g.Count > 0 {
			return g.Count, nil
		}
	}
	return 1, nil
}

// startAllocations makes Nomad replace stopped allocations of a system job and waits until they are running.
func (s *start) startAllocations(
	ctx context.Context, req *router.Request, job backends.JobDetail, stopped []backends.Allocation,
) error {
	result, err := req.Access.Writer.Evaluate(ctx, job.Job)
	if err != nil {
		return phrase.JobError(job.Job, err)
	}
	if s.detach {
		return s.printEvaluation(req, result)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	report := req.Console.NewProgressLine()
	replacements, err := monitor.WaitUntilReplaced(ctx, req.Access.Cluster, job, stopped, result, report.Transientf)
	report.Clear()
	if err != nil {
		return s.explainWaitError(err, job.Job)
	}
	return printResult(req, "started %s of %s: %s%s", phrase.Count(len(replacements), "allocation"), job.ID,
		phrase.Replacements(stopped, replacements), evaluationSuffix(result))
}

// stoppedSystemAllocations returns the stopped and failed allocations of a system job that were not replaced. Nomad
// replaces them only at the next evaluation of the job.
func stoppedSystemAllocations(job backends.JobDetail) (stopped []backends.Allocation) {
	if job.Type != "system" {
		return nil
	}
	for _, a := range job.Allocations {
		if a.Version == job.Version && (a.Status == "complete" || a.Status == "failed") && monitor.IsNewest(job, a) {
			stopped = append(stopped, a)
		}
	}
	return stopped
}
