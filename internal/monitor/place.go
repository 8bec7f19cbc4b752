package monitor

import (
	"context"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
)

// WaitUntilPlaced waits until no allocations are missing. job is the state before the request that makes Nomad place
// them, and change is the result of that request.
func WaitUntilPlaced(
	ctx context.Context, cluster backends.Cluster, job backends.JobDetail, change backends.WriteResult, progress Progress,
) error {
	return Poll(ctx, cluster, job.Job, progress, func(now backends.JobDetail) (string, bool, error) {
		return PlacedStatus(now, job, change)
	})
}

// PlacedStatus reports whether no allocations are missing. before is the state of the job before the change.
func PlacedStatus(
	now, before backends.JobDetail, change backends.WriteResult,
) (message string, done bool, err error) {
	want, have, _ := allocationCounts(now)
	message = fmt.Sprintf("%d of %s running", have, phrase.Count(want, "allocation"))
	switch {
	case now.ModifyIndex != before.ModifyIndex:
		return "", true, phrase.ChangedError(now)
	case len(now.Unplaced) > 0:
		return "", true, fmt.Errorf("%s%s", unplacedPrefix, phrase.Unplaced(now.Unplaced))
	case len(MissingAllocations(now, "")) == 0 && isIdle(now):
		return "", true, checkNoneFailed(now)
	case isEvaluated(now, change.EvaluationID) && isIdle(now):
		err = stalledError(fmt.Sprintf("Nomad evaluated %s but placed nothing: %d of %s running (see: info %s)",
			now.ID, have, phrase.Count(want, "allocation"), now.ID))
	}
	return message, false, err
}

// MissingAllocations returns how many allocations of a group, or of all groups for "", are missing although Nomad is
// idle, by group. This happens if Nomad has deleted a failed allocation that it did not replace, and has not evaluated
// the job since.
func MissingAllocations(job backends.JobDetail, group string) map[string]int {
	if job.Type != "service" && job.Type != "batch" || !isIdle(job) {
		return nil
	}
	missing := map[string]int{}
	for _, g := range job.Groups {
		n := g.Count
		for _, a := range job.Allocations {
			done := job.Type == "batch" && a.Status == "complete" && a.Version == job.Version
			if a.Group == g.Name && (a.Desired == "run" && a.Status != "lost" && IsNewest(job, a) || done) {
				n--
			}
		}
		if n > 0 && (group == "" || g.Name == group) {
			missing[g.Name] = n
		}
	}
	return missing
}
