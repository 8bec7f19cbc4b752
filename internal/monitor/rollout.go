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

// waitForRollout waits until a change of a group, or of the whole job for "", is rolled out. If the job's current
// version has a deployment, it waits until the deployment, which is always of the whole job, is successful. Otherwise
// it waits until the wanted number of allocations of that version is running and the others have stopped. It returns
// an error if Nomad does nothing for idleGrace, if an allocation fails and is not replaced, or if the job is changed
// again.
func waitForRollout(
	ctx context.Context, cluster backends.Cluster, job backends.Job, group string, change backends.WriteResult,
	progress progressFunc,
) error {
	var idle time.Time // since when Nomad does nothing about missing allocations
	var unplaced string
	err := pollJob(ctx, cluster, job, progress, func(now backends.JobDetail) (bool, error) {
		d := now.LatestDeployment
		switch {
		case now.ModifyIndex < change.ModifyIndex || !isEvaluated(now, change.EvaluationID):
			return false, nil // the server's state is stale, or the evaluation is pending
		case change.ModifyIndex != 0 && now.ModifyIndex > change.ModifyIndex:
			return true, supersededError(now)
		case change.DeploymentID != "" && (d == nil || d.ID != change.DeploymentID || d.Version != now.Version):
			return true, supersededError(now)
		}
		if group != "" && (d == nil || d.Version != now.Version) {
			now = onlyGroup(now, group)
		}
		if unplaced = unplacedReasons(now.Unplaced); unplaced != "" {
			progress("cannot be placed: %s", unplaced)
		}
		if d != nil && d.Version == now.Version {
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
			progress("waiting for %s to stop", plural(surplus, "allocation"))
		}
		switch {
		case have >= want || !isIdle(now):
			idle = time.Time{}
		case idle.IsZero():
			idle = time.Now()
		case time.Since(idle) > idleGrace:
			return true, fmt.Errorf("%d of %s running, and Nomad starts no more: "+
				"failed allocations may have no reschedule attempts left (see: info %s)", have, plural(want, "allocation"), now.ID)
		}
		return have >= want && surplus == 0, checkNoneFailed(now)
	})
	if unplaced != "" && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: cannot be placed: %s", err, unplaced)
	}
	return err
}

// checkReplaced returns an error for failed allocations that Nomad does not replace. A deployment ignores them, and
// may be successful anyway.
func checkReplaced(job backends.JobDetail, group string) error {
	if slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool { return e.Status == "pending" }) {
		return nil // Nomad may still replace them
	}
	failed, unreschedulable := failedAllocations(job, func(a backends.Allocation) bool {
		return a.Status == "failed" && !a.ReschedulePending && (group == "" || a.Group == group)
	})
	if all := append(failed, unreschedulable...); len(all) > 0 {
		return fmt.Errorf("Nomad does not replace %s: %s (see: info %s; replace: restart %s)",
			plural(len(all), "failed allocation"), allocationLabels(all), job.ID, shortID(all[0].ID))
	}
	return nil
}

// onlyGroup returns a job with only one of its groups.
func onlyGroup(job backends.JobDetail, group string) backends.JobDetail {
	job.Groups = slices.DeleteFunc(slices.Clone(job.Groups), func(g backends.Group) bool { return g.Name != group })
	job.Allocations = slices.DeleteFunc(slices.Clone(job.Allocations), func(a backends.Allocation) bool {
		return a.Group != group
	})
	job.Unplaced = slices.DeleteFunc(slices.Clone(job.Unplaced), func(u backends.UnplacedGroup) bool {
		return u.Group != group
	})
	return job
}

// isIdle reports whether Nomad and its client agents have nothing left to do for a job.
func isIdle(job backends.JobDetail) bool {
	if len(job.Unplaced) > 0 {
		return false
	}
	poststop := poststopTasks(job)
	isOpen := func(e backends.Evaluation) bool { return e.Status == "pending" || e.Status == "blocked" }
	isChanging := func(a backends.Allocation) bool {
		return a.Status == "pending" || a.Status == "unknown" || a.ReschedulePending && a.Next == "" ||
			a.Status == "running" && (a.Desired != "run" || !isStarted(a, poststop))
	}
	return !slices.ContainsFunc(job.Evaluations, isOpen) && !slices.ContainsFunc(job.Allocations, isChanging)
}

// supersededError returns the error for a job that was changed again after the requested change.
func supersededError(job backends.JobDetail) error {
	reason := ""
	if d := job.LatestDeployment; d != nil && d.Description != "" {
		reason = ": " + d.Description
	}
	return fmt.Errorf("%s is at version %d now: Nomad reverted it, or somebody changed it%s "+
		"(see: history %s, deployment %s)",
		job.ID, job.Version, reason, job.ID, job.ID)
}

// isEvaluated reports whether an evaluation is not pending. An unknown evaluation was processed and deleted.
func isEvaluated(job backends.JobDetail, id string) bool {
	return !slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool {
		return e.ID == id && e.Status == "pending"
	})
}

// deploymentDone reports whether a deployment is successful. It returns an error if the deployment will not continue by
// itself. Otherwise it prints the progress.
func deploymentDone(job backends.JobDetail, d backends.Deployment, progress progressFunc) (bool, error) {
	healthy, desired := 0, 0
	unhealthyCanaries, healthyCanaries := 0, 0 // in groups that wait for a promotion
	for _, g := range d.Groups {
		healthy, desired = healthy+g.Healthy, desired+g.Desired
		switch {
		case g.Canaries == 0 || g.Promoted || g.AutoPromote:
		case g.Healthy < g.Canaries:
			unhealthyCanaries += g.Canaries
		default:
			healthyCanaries += g.Canaries
		}
	}
	name := "deployment " + shortID(d.ID)
	switch d.Status {
	case "successful":
		return true, nil
	case "running", "pending", "initializing", "unblocking", "blocked":
		if healthyCanaries > 0 && unhealthyCanaries == 0 {
			return true, fmt.Errorf("%s is waiting for promotion: %s healthy (promote it: promote %s; fail it: fail %s)",
				name, canariesAre(healthyCanaries), job.ID, job.ID)
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

// allocationCounts returns how many allocations the job's groups want, how many of the current version they have, and
// how many others are still running. Complete allocations of a batch job count, too. For a system job, Nomad
// decides the number of allocations.
func allocationCounts(job backends.JobDetail) (want, have, surplus int) {
	if job.Stopped || job.Periodic || job.Parameterized {
		return 0, 0, len(liveAllocations(job, ""))
	}
	batch := job.Type == "batch" || job.Type == "sysbatch"
	poststop := poststopTasks(job)
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
		case current && a.Status == "running" && a.Desired == "run" && isStarted(a, poststop),
			current && batch && a.Status == "complete":
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

// poststopTasks returns the poststop tasks of a job, by group and task. They stay pending until the other tasks have
// exited.
func poststopTasks(job backends.JobDetail) map[string]bool {
	poststop := map[string]bool{}
	for _, g := range job.Groups {
		for _, task := range g.PoststopTasks {
			poststop[g.Name+"\x00"+task] = true
		}
	}
	return poststop
}

// isStarted reports whether all tasks of an allocation except its poststop tasks have started.
func isStarted(a backends.Allocation, poststop map[string]bool) bool {
	return !slices.ContainsFunc(a.Tasks, func(t backends.Task) bool {
		return t.State == "pending" && !poststop[a.Group+"\x00"+t.Name]
	})
}

// checkNoneFailed returns an error if an allocation of the current version has failed and Nomad does not replace it.
func checkNoneFailed(job backends.JobDetail) error {
	if slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool { return e.Status == "pending" }) {
		return nil // Nomad may still replace it
	}
	for _, a := range job.Allocations {
		isNew := a.Version == job.Version && a.Created.After(job.Submitted)
		if isNew && a.Status == "failed" && a.Next == "" && !a.ReschedulePending {
			id := shortID(a.ID)
			return fmt.Errorf("allocation %s of %s has failed (see: logs %s, info %s)", id, a.Group, id, id)
		}
	}
	return nil
}

func unplacedReasons(all []backends.UnplacedGroup) string {
	var groups []string
	for _, u := range all {
		groups = append(groups, u.Group+": "+strings.Join(u.Reasons, ", "))
	}
	return strings.Join(groups, "; ")
}
