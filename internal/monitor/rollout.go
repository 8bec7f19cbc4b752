package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
)

// unplacedPrefix starts the messages about groups that Nomad cannot place.
const unplacedPrefix = "cannot be placed: "

// WaitForRollout waits until a change of a group, or of the whole job for "", is rolled out (see RolloutStatus). If ctx
// times out while groups cannot be placed, the error has the reasons.
func WaitForRollout(
	ctx context.Context, cluster backends.Cluster, job backends.Job, group string, change backends.WriteResult,
	progress Progress,
) error {
	last := ""
	err := Poll(ctx, cluster, job, progress, func(now backends.JobDetail) (message string, done bool, err error) {
		message, done, err = RolloutStatus(now, group, change)
		last = cmp.Or(message, last)
		return message, done, err
	})
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && strings.HasPrefix(last, unplacedPrefix) {
		return fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// RolloutStatus reports whether a change of a group, or of the whole job for "", is rolled out. If the job's current
// version has a deployment, which is always of the whole job, the deployment must be successful. Otherwise the wanted
// number of allocations of that version must be running, and the others must have stopped. RolloutStatus returns an
// error if an allocation fails and is not replaced, or if the job was changed again.
func RolloutStatus(
	now backends.JobDetail, group string, change backends.WriteResult,
) (message string, done bool, err error) {
	d := now.LatestDeployment
	switch {
	case now.ModifyIndex < change.ModifyIndex || !isEvaluated(now, change.EvaluationID):
		return "", false, nil // the server's state is stale, or the evaluation is pending
	case change.ModifyIndex != 0 && now.ModifyIndex > change.ModifyIndex:
		return "", true, supersededError(now)
	case change.DeploymentID != "" && (d == nil || d.ID != change.DeploymentID || d.Version != now.Version):
		return "", true, supersededError(now)
	}
	isDeployed := d != nil && d.Version == now.Version
	if group != "" && !isDeployed {
		now = onlyGroup(now, group)
	}
	unplaced := ""
	if len(now.Unplaced) > 0 {
		unplaced = unplacedPrefix + phrase.Unplaced(now.Unplaced)
	}
	if isDeployed {
		message, done, err = DeploymentStatus(now.Job, *d)
		if done && err == nil {
			err = checkReplaced(now, group)
		}
		return cmp.Or(unplaced, message), done, err
	}
	want, have, surplus := allocationCounts(now)
	switch {
	case unplaced != "":
		message = unplaced
	case have < want:
		message = fmt.Sprintf("%d of %s running", have, phrase.Count(want, "allocation"))
	case surplus > 0:
		message = fmt.Sprintf("waiting for %s to stop", phrase.Count(surplus, "allocation"))
	}
	if err := checkNoneFailed(now); err != nil {
		return message, true, err
	}
	if have < want && isIdle(now) {
		return message, false, stalledError(fmt.Sprintf("%d of %s running, and Nomad starts no more: "+
			"failed allocations may have no reschedule attempts left (see: info %s)",
			have, phrase.Count(want, "allocation"), now.ID))
	}
	return message, have >= want && surplus == 0, nil
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

// checkReplaced returns an error for failed allocations that Nomad does not replace. A deployment ignores them, and
// may be successful anyway.
func checkReplaced(job backends.JobDetail, group string) error {
	if slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool { return e.Status == "pending" }) {
		return nil // Nomad may still replace them
	}
	failed, unreschedulable := FailedAllocations(job, func(a backends.Allocation) bool {
		return a.Status == "failed" && !a.ReschedulePending && (group == "" || a.Group == group)
	})
	if all := append(failed, unreschedulable...); len(all) > 0 {
		return fmt.Errorf("Nomad does not replace %s: %s (see: info %s; replace: restart %s)",
			phrase.Count(len(all), "failed allocation"), phrase.Allocations(all), job.ID, phrase.ShortID(all[0].ID))
	}
	return nil
}

// checkNoneFailed returns an error if an allocation of the current version has failed and Nomad does not replace it.
func checkNoneFailed(job backends.JobDetail) error {
	if slices.ContainsFunc(job.Evaluations, func(e backends.Evaluation) bool { return e.Status == "pending" }) {
		return nil // Nomad may still replace it
	}
	for _, a := range job.Allocations {
		isNew := a.Version == job.Version && a.Created.After(job.Submitted)
		if isNew && a.Status == "failed" && a.Next == "" && !a.ReschedulePending {
			id := phrase.ShortID(a.ID)
			return fmt.Errorf("allocation %s of %s has failed (see: logs %s, info %s)", id, a.Group, id, id)
		}
	}
	return nil
}
