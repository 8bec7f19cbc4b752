package monitor

import (
	"context"
	"fmt"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
)

// WaitUntilReplaced waits until the replacements of allocations are running, and returns them in the same order. job is
// the state before the request that makes Nomad replace them, and change is the result of that request.
func WaitUntilReplaced(
	ctx context.Context, cluster backends.Cluster, job backends.JobDetail, replaced []backends.Allocation,
	change backends.WriteResult, progress Progress,
) (replacements []backends.Allocation, err error) {
	err = Poll(ctx, cluster, job.Job, progress, func(now backends.JobDetail) (string, bool, error) {
		replacements = nil
		for _, a := range replaced {
			if b, ok := replacementOf(now, a); ok {
				replacements = append(replacements, b)
			}
		}
		return ReplacedStatus(now, job, replaced, change)
	})
	return replacements, err
}

// ReplacedStatus reports whether the replacements of allocations are running. before is the state of the job before the
// change.
func ReplacedStatus(
	now, before backends.JobDetail, replaced []backends.Allocation, change backends.WriteResult,
) (message string, done bool, err error) {
	if now.ModifyIndex != before.ModifyIndex {
		return "", true, phrase.ChangedError(now)
	}
	var missing []string
	running := 0
	poststop := poststopTasks(now)
	for _, a := range replaced {
		b, ok := replacementOf(now, a)
		switch {
		case !ok:
			missing = append(missing, phrase.Allocation(a))
		case b.Status == "failed" || b.Status == "lost":
			id := phrase.ShortID(b.ID)
			state := "is lost"
			if b.Status == "failed" {
				state = "has failed"
			}
			return "", true, fmt.Errorf("allocation %s, which replaces %s, %s (see: info %s, logs %s)",
				id, phrase.ShortID(a.ID), state, id, id)
		case b.Status == "running" && isStarted(b, poststop), b.Status == "complete" && b.Desired == "run":
			running++
		}
	}
	message = fmt.Sprintf("%d of %s running again", running, phrase.Count(len(replaced), "allocation"))
	switch {
	case running == len(replaced):
		return "", true, nil
	case len(now.Unplaced) > 0:
		message = unplacedPrefix + phrase.Unplaced(now.Unplaced)
	case len(missing) > 0 && isEvaluated(now, change.EvaluationID):
		err = stalledError(fmt.Sprintf("Nomad evaluated %s but did not replace: %s (see: info %s)",
			before.ID, strings.Join(missing, ", "), before.ID))
	}
	return message, false, err
}

// replacementOf returns the newest allocation that replaced another one.
func replacementOf(job backends.JobDetail, a backends.Allocation) (newest backends.Allocation, ok bool) {
	for _, b := range job.Allocations {
		isLater := b.SameInstance(a) && b.Group == a.Group && b.Created.After(a.Created)
		if b.ID != a.ID && (b.ID == a.Next || isLater) && (!ok || b.Created.After(newest.Created)) {
			newest, ok = b, true
		}
	}
	return newest, ok
}
