package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/ops"
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
		Set:           router.Operate,
		WantsTerminal: true,
		FindsSaved:    true,
		Long: `
Start a stopped job: register its last version that ran, unchanged, and wait until
it is running. For a group with a count of 0, use scale.

If Nomad has deleted the job, start uses the definition that the gateway saved when
"stop" stopped the job. Only the gateway instance that ran "stop" has it, for 30
days. On a terminal, start shows the version, the user and the time of that stop,
and prompts: somebody may have run another version since, without the gateway. If
the job is registered again, start changes nothing and reports that.

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
	if err := s.waitFlags.check(); err != nil {
		return err
	}
	job, err := currentJob(ctx, req)
	if err := req.CheckNoOperation(); err != nil { // what has stopped it starts it again
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
	versions, err := req.Cluster.Versions(ctx, job.Job)
	if err != nil {
		return jobError(job.Job, err)
	}
	now, err := currentVersion(job, versions)
	if err != nil {
		return err
	}
	last := lastRunVersion(now, versions)
	warning, err := saveRelease(ctx, req.Cluster, req.SavedDefinitions(), job, 1)
	if err != nil {
		return err
	}
	if err := confirmWarnings(ctx, req, s.yes, warning); err != nil {
		return err
	}
	outcome, err := req.Operations.Register(ctx, job.Job, last.Definition, job.ModifyIndex)
	if errors.Is(err, backends.ErrNotFound) { // Nomad has deleted it since
		outcome, err = s.registerDeleted(ctx, req, job.Job, last.Definition)
	}
	if err != nil {
		return jobError(job.Job, err)
	}
	return s.finishStart(ctx, req, job.Job, outcome, fmt.Sprintf("as it was in version %d", last.Number))
}

// startDeleted starts a job that Nomad has deleted.
func (s *start) startDeleted(ctx context.Context, req *router.Request, gone error) error {
	k, ok, err := req.SavedDefinitions().Load(ops.Stopped)
	if err != nil {
		return fmt.Errorf("Nomad has deleted %s, and the definition that the gateway saved cannot be used: %w", req.Job.ID, err)
	}
	if !ok {
		return gone
	}
	how := fmt.Sprintf("as it was in version %d, which %s stopped on %s", k.Version, k.User, k.Time.UTC().Format("2006-01-02 15:04Z"))
	if err := confirm(ctx, req, s.yes, "Nomad has deleted %s. Start it in tier %s %s?", req.Job.ID, req.Job.Tier, how); err != nil {
		return err
	}
	outcome, err := s.registerDeleted(ctx, req, req.Job, k.Definition)
	if err != nil {
		return err
	}
	return s.finishStart(ctx, req, req.Job, outcome, how+"; Nomad had deleted it")
}

// registerDeleted registers a job that Nomad has not any more, and lets the saved release belong to the new job.
func (s *start) registerDeleted(ctx context.Context, req *router.Request, job backends.Job, definition json.RawMessage) (backends.WriteResult, error) {
	job.ModifyIndex = 0
	outcome, err := req.Operations.Register(ctx, job, definition, 0)
	var changed *backends.ChangedError
	if errors.As(err, &changed) {
		return outcome, fmt.Errorf("%s was registered again, as version %d: the gateway does not replace it with its saved definition (see: status %s)", job.ID, changed.Version, job.ID)
	}
	if err != nil {
		return outcome, err
	}
	if err := relinkRelease(ctx, req.Cluster, req.SavedDefinitions(), job, definition); err != nil {
		newProgressPrinter(req).printf("warning: %v", err)
	}
	return outcome, nil
}

// finishStart waits until the job runs. From then on Nomad has its definition.
func (s *start) finishStart(ctx context.Context, req *router.Request, job backends.Job, outcome backends.WriteResult, how string) error {
	printWarnings(req, outcome)
	if err := req.SavedDefinitions().Delete(ops.Stopped); err != nil {
		newProgressPrinter(req).printf("warning: the gateway cannot remove the definition that it saved: %v", err)
	}
	if s.detach {
		return s.printEvaluation(req, outcome)
	}
	if err := s.waitUntilUp(ctx, req, job, "", outcome); err != nil {
		return err
	}
	return printResult(req, "started %s %s%s", job.ID, how, evaluationSuffix(outcome))
}

// startRunning is for a job that is not stopped. A group of it may be, or allocations of a system job.
func (s *start) startRunning(ctx context.Context, req *router.Request, job backends.JobDetail) error {
	if err := req.SavedDefinitions().Delete(ops.Stopped); err != nil { // somebody has registered it since it was saved
		newProgressPrinter(req).printf("warning: the gateway cannot remove the definition that it saved: %v", err)
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

// lastCount returns the count that a group had before it became 0, as far as Nomad knows; else 1.
func lastCount(ctx context.Context, req *router.Request, job backends.JobDetail, group string) (int, error) {
	versions, err := req.Cluster.Versions(ctx, job.Job)
	if err != nil {
		return 0, jobError(job.Job, err)
	}
	for _, v := range versions {
		if g, ok := v.Release.Group(group); ok && g.Count > 0 {
			return g.Count, nil
		}
	}
	return 1, nil
}

// startAllocations brings back allocations of a system job.
func (s *start) startAllocations(ctx context.Context, req *router.Request, job backends.JobDetail, stopped []backends.Allocation) error {
	outcome, err := req.Operations.Evaluate(ctx, job.Job)
	if err != nil {
		return jobError(job.Job, err)
	}
	if s.detach {
		return s.printEvaluation(req, outcome)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	report := newProgressPrinter(req)
	back, err := waitUntilReplaced(ctx, req.Cluster, job, stopped, outcome, report.progress)
	report.clear()
	if err != nil {
		return s.explainWaitError(err, job.Job)
	}
	return printResult(req, "started %s of %s: %s%s", plural(len(back), "allocation"), job.ID, replacementsText(stopped, back), evaluationSuffix(outcome))
}

// stoppedSystemAllocations returns the allocations of a system job, newest in their place, that were stopped or have failed. Nomad
// places them again only when it evaluates the job.
func stoppedSystemAllocations(job backends.JobDetail) (stopped []backends.Allocation) {
	if job.Type != "system" {
		return nil
	}
	for _, a := range job.Allocations {
		if a.Version == job.Version && (a.Status == "complete" || a.Status == "failed") && isNewest(job, a) {
			stopped = append(stopped, a)
		}
	}
	return stopped
}

// isNewest reports whether no allocation has taken the place of this one.
func isNewest(job backends.JobDetail, a backends.Allocation) bool {
	for _, b := range job.Allocations {
		if b.ID != a.ID && b.SameInstance(a) && b.Group == a.Group && b.Created.After(a.Created) {
			return false
		}
	}
	return a.Next == ""
}

// idleGrace is how long Nomad may seem to do nothing: what it decides and what comes of it are not seen at the same time.
const idleGrace = 5 * time.Second

// waitUntilReplaced waits until others run in the place of allocations that have ended, in their order.
func waitUntilReplaced(ctx context.Context, cluster backends.Cluster, job backends.JobDetail, ended []backends.Allocation, order backends.WriteResult, progress progressFunc) (back []backends.Allocation, err error) {
	var idle time.Time // since when Nomad has decided, and nothing has come of it
	err = pollJob(ctx, cluster, job.Job, progress, func(now backends.JobDetail) (bool, error) {
		if now.ModifyIndex != job.ModifyIndex {
			return true, &backends.ChangedError{Job: now.ID, Version: now.Version}
		}
		back = nil
		var missing []string
		waiting := 0
		late := poststopTasks(now)
		for _, a := range ended {
			b, ok := replacementOf(now, a)
			switch {
			case !ok:
				missing = append(missing, allocationLabel(a))
			case b.Status == "failed" || b.Status == "lost":
				return true, fmt.Errorf("allocation %s, which replaces %s, is %s (see: info %s, logs %s)", shortID(b.ID), shortID(a.ID), b.Status, shortID(b.ID), shortID(b.ID))
			case b.Status == "running" && isStarted(b, late), b.Status == "complete" && b.Desired == "run":
				back = append(back, b)
			default:
				waiting++
			}
		}
		switch {
		case len(missing) == 0 && waiting == 0:
			return true, nil
		case len(missing) == 0 || !isEvaluated(now, order.EvaluationID) || len(now.Unplaced) > 0:
			idle = time.Time{}
		case idle.IsZero():
			idle = time.Now()
		case time.Since(idle) > idleGrace:
			return true, fmt.Errorf("Nomad has evaluated %s and replaced nothing of: %s (see: info %s)", job.ID, strings.Join(missing, ", "), job.ID)
		}
		if len(now.Unplaced) > 0 {
			progress("cannot be placed: %s", unplacedReasons(now.Unplaced))
		} else {
			progress("%d of %s running again", len(back), plural(len(ended), "allocation"))
		}
		return false, nil
	})
	return back, err
}

// replacementOf returns the newest allocation that took the place of another one.
func replacementOf(job backends.JobDetail, a backends.Allocation) (newest backends.Allocation, ok bool) {
	for _, b := range job.Allocations {
		if b.ID != a.ID && (b.ID == a.Next || b.SameInstance(a) && b.Group == a.Group && b.Created.After(a.Created)) && (!ok || b.Created.After(newest.Created)) {
			newest, ok = b, true
		}
	}
	return newest, ok
}

// allocationLabel names an allocation by its index, or its node, and its ID.
func allocationLabel(a backends.Allocation) string {
	name := strings.TrimPrefix(a.Name, a.JobID+".")
	if a.JobType == "system" || a.JobType == "sysbatch" {
		name = a.Group + " on " + a.Node
	}
	return name + " " + shortID(a.ID)
}

// replacementsText lists which allocation replaces which.
func replacementsText(ended, back []backends.Allocation) string {
	var all []string
	for i, a := range ended {
		if i < len(back) {
			all = append(all, allocationLabel(a)+" by "+shortID(back[i].ID))
		}
	}
	return strings.Join(all, ", ")
}
