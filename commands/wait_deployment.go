package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/backends"
)

// waitForRollout waits until a group, or the whole job for "", is what the job's newest version says: deployed, or running in the
// number wanted. A deployment is one of the whole job.
func waitForRollout(ctx context.Context, cluster backends.Cluster, job backends.Job, group string, order backends.WriteResult, progress progressFunc) error {
	var idle time.Time // since when Nomad does nothing about what is missing
	var unplaced string
	err := pollJob(ctx, cluster, job, progress, func(now backends.JobDetail) (bool, error) {
		switch {
		case now.ModifyIndex < order.ModifyIndex || !isEvaluated(now, order.EvaluationID):
			return false, nil // a server that is behind, or nothing decided yet
		case order.ModifyIndex != 0 && now.ModifyIndex > order.ModifyIndex:
			return true, supersededError(now)
		case order.DeploymentID != "" && (now.LatestDeployment == nil || now.LatestDeployment.ID != order.DeploymentID || now.LatestDeployment.Version != now.Version):
			return true, supersededError(now)
		}
		if d := now.LatestDeployment; group != "" && (d == nil || d.Version != now.Version) {
			now = onlyGroup(now, group)
		}
		if unplaced = unplacedReasons(now.Unplaced); unplaced != "" {
			progress("cannot be placed: %s", unplaced)
		}
		if d := now.LatestDeployment; d != nil && d.Version == now.Version {
			done, err := deploymentDone(now, *d, progress)
			if done && err == nil {
				err = checkReplaced(now, group)
			}
			return done, err
		}
		want, have, surplus := allocationCounts(now)
		if have < want && len(now.Unplaced) == 0 {
			progress("%d of %s running", have, plural(want, "allocation"))
		}
		if have >= want && surplus > 0 {
			progress("%s still to be stopped", plural(surplus, "allocation"))
		}
		switch {
		case have >= want || !isIdle(now):
			idle = time.Time{}
		case idle.IsZero():
			idle = time.Now()
		case time.Since(idle) > idleGrace:
			return true, fmt.Errorf("%d of %s running, and Nomad starts no more: what failed before may not be rescheduled (see: info %s)", have, plural(want, "allocation"), now.ID)
		}
		return have >= want && surplus == 0, checkNoneFailed(now)
	})
	if unplaced != "" && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: cannot be placed: %s", err, unplaced)
	}
	return err
}

// checkReplaced returns an error for allocations that have failed and that Nomad does not replace. A deployment does not count
// them: it may succeed without.
func checkReplaced(job backends.JobDetail, group string) error {
	if slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool { return e.Status == "pending" }) {
		return nil // that may be about it
	}
	failed, given := failedAllocations(job, func(a backends.Allocation) bool {
		return a.Status == "failed" && !a.ReschedulePending && (group == "" || a.Group == group)
	})
	if all := append(failed, given...); len(all) > 0 {
		return fmt.Errorf("Nomad does not replace %s: %s (see: info %s; replace: restart %s)", plural(len(all), "failed allocation"), allocationLabels(all), job.ID, shortID(all[0].ID))
	}
	return nil
}

// onlyGroup returns a job with nothing but one of its groups.
func onlyGroup(job backends.JobDetail, group string) backends.JobDetail {
	job.Groups = slices.DeleteFunc(slices.Clone(job.Groups), func(g backends.Group) bool { return g.Name != group })
	job.Allocations = slices.DeleteFunc(slices.Clone(job.Allocations), func(a backends.Allocation) bool { return a.Group != group })
	job.Unplaced = slices.DeleteFunc(slices.Clone(job.Unplaced), func(u backends.Unplaced) bool { return u.Group != group })
	return job
}

// isIdle reports whether nothing is about to happen to a job by itself.
func isIdle(job backends.JobDetail) bool {
	after := poststopTasks(job)
	return len(job.Unplaced) == 0 &&
		!slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool { return e.Status == "pending" || e.Status == "blocked" }) &&
		!slices.ContainsFunc(job.Allocations, func(a backends.Allocation) bool {
			return a.Status == "pending" || a.Status == "unknown" || a.ReschedulePending && a.Next == "" || a.Status == "running" && (a.Desired != "run" || !isStarted(a, after))
		})
}

// supersededError is the error for a job that has become something newer than what was ordered.
func supersededError(job backends.JobDetail) error {
	why := ""
	if d := job.LatestDeployment; d != nil && d.Description != "" {
		why = ": " + d.Description
	}
	return fmt.Errorf("%s is at version %d meanwhile: Nomad went back, or somebody has changed it%s (see: history %s, deployment %s)", job.ID, job.Version, why, job.ID, job.ID)
}

// isEvaluated reports whether Nomad has decided what an evaluation leads to. One that is not known any more was decided.
func isEvaluated(job backends.JobDetail, id string) bool {
	return !slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool { return e.ID == id && e.Status == "pending" })
}

// deploymentDone reports whether a deployment has ended well, and what there is to say until then.
func deploymentDone(job backends.JobDetail, d backends.Deployment, progress progressFunc) (bool, error) {
	healthy, desired, canaries, waits := 0, 0, 0, 0 // canaries that are waited for, and that wait to be promoted
	for _, g := range d.Groups {
		healthy, desired = healthy+g.Healthy, desired+g.Desired
		switch {
		case g.Canaries == 0 || g.Promoted || g.AutoPromote:
		case g.Healthy < g.Canaries:
			canaries += g.Canaries
		default:
			waits += g.Canaries
		}
	}
	name := "deployment " + shortID(d.ID)
	switch d.Status {
	case "successful":
		return true, nil
	case "running", "pending", "initializing", "unblocking", "blocked":
		if waits > 0 && canaries == 0 {
			return true, fmt.Errorf("%s waits: %s healthy (promote %s, or fail %s)", name, canariesAre(waits), job.ID, job.ID)
		}
		if len(job.Unplaced) == 0 {
			progress("%s of version %d: %d of %d healthy", name, d.Version, healthy, desired)
		}
		return false, nil
	case "paused":
		return true, fmt.Errorf("%s is paused (see: resume %s)", name, job.ID)
	}
	return true, fmt.Errorf("%s of version %d: %s: %s", name, d.Version, d.Status, d.Description)
}

func canariesAre(n int) string {
	if n == 1 {
		return "1 canary is"
	}
	return fmt.Sprintf("%d canaries are", n)
}

// allocationCounts returns how many allocations the job's groups are to have, how many of the newest version there are, which those of
// a batch job may have ended well, and how many others still run. Nomad decides how many a system job has.
func allocationCounts(job backends.JobDetail) (want, have, surplus int) {
	if job.Stopped || job.Periodic || job.Parameterized {
		return 0, 0, len(liveAllocations(job, ""))
	}
	batch := job.Type == "batch" || job.Type == "sysbatch"
	after := poststopTasks(job)
	for _, g := range job.Groups {
		want += g.Count
	}
	placed := 0
	for _, a := range job.Allocations {
		current := a.Version == job.Version
		if current && a.Desired == "run" {
			placed++
		}
		switch {
		case current && a.Status == "running" && a.Desired == "run" && isStarted(a, after), current && batch && a.Status == "complete":
			have++
		case a.Status == "running" && a.Desired != "run":
			surplus++
		}
	}
	if job.Type == "system" || job.Type == "sysbatch" {
		want = max(placed, min(1, want))
	}
	return want, have, surplus
}

// poststopTasks are the tasks, by group, that begin when the others have ended.
func poststopTasks(job backends.JobDetail) map[string]bool {
	after := map[string]bool{}
	for _, g := range job.Groups {
		for _, task := range g.PoststopTasks {
			after[g.Name+"\x00"+task] = true
		}
	}
	return after
}

func isStarted(a backends.Allocation, after map[string]bool) bool {
	return !slices.ContainsFunc(a.Tasks, func(t backends.Task) bool { return t.State == "pending" && !after[a.Group+"\x00"+t.Name] })
}

// checkNoneFailed returns an error when an allocation of the newest version has failed and Nomad does not replace it.
func checkNoneFailed(job backends.JobDetail) error {
	if slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool { return e.Status == "pending" }) {
		return nil // that may be about it
	}
	for _, a := range job.Allocations {
		if a.Version == job.Version && a.Status == "failed" && a.Next == "" && !a.ReschedulePending && a.Created.After(job.Submitted) {
			return fmt.Errorf("allocation %s of %s has failed (see: logs %s, info %s)", shortID(a.ID), a.Group, shortID(a.ID), shortID(a.ID))
		}
	}
	return nil
}

func unplacedReasons(all []backends.Unplaced) string {
	var groups []string
	for _, u := range all {
		groups = append(groups, u.Group+": "+strings.Join(u.Reasons, ", "))
	}
	return strings.Join(groups, "; ")
}
