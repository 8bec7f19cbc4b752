package monitor

import (
	"context"
	"errors"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
)

// WaitUntilStopped waits until all allocations of a group, or of the whole job for "", have stopped. change is the
// result of the request that stops them.
func WaitUntilStopped(
	ctx context.Context, cluster backends.Cluster, job backends.Job, group string, change backends.WriteResult,
	progress Progress,
) error {
	total := 0
	err := Poll(ctx, cluster, job, progress, func(now backends.JobDetail) (string, bool, error) {
		total = max(total, len(LiveAllocations(now, group)))
		return StoppedStatus(now, group, change, total)
	})
	if errors.Is(err, backends.ErrNotFound) {
		return nil
	}
	return err
}

// StoppedStatus reports whether all allocations of a group, or of the whole job for "", have stopped. total is the
// number of allocations that were running at first.
func StoppedStatus(
	now backends.JobDetail, group string, change backends.WriteResult, total int,
) (message string, done bool, err error) {
	if change.ModifyIndex != 0 && now.ModifyIndex > change.ModifyIndex {
		return "", true, supersededError(now)
	}
	left := len(LiveAllocations(now, group))
	if left > 0 {
		message = fmt.Sprintf("%d of %s stopped", total-left, phrase.Count(total, "allocation"))
	}
	return message, left == 0, nil
}

// WaitUntilAllocationStopped waits until an allocation has stopped, and returns the ID of the one that replaces it, if
// Nomad has created it already.
func WaitUntilAllocationStopped(
	ctx context.Context, cluster backends.Cluster, job backends.Job, id string, progress Progress,
) (next string, err error) {
	err = Poll(ctx, cluster, job, progress, func(now backends.JobDetail) (string, bool, error) {
		for _, a := range now.Allocations {
			if a.ID == id {
				next = a.Next
			}
		}
		return AllocationStoppedStatus(now, id)
	})
	return next, err
}

// AllocationStoppedStatus reports whether an allocation has stopped. It returns an error if Nomad cannot stop it because
// its node is disconnected or down.
func AllocationStoppedStatus(now backends.JobDetail, id string) (message string, done bool, err error) {
	for _, a := range now.Allocations {
		switch {
		case a.ID != id:
		case a.Status == "unknown":
			return "", true, fmt.Errorf("allocation %s is not stopped: its node %s is disconnected from Nomad, and the "+
				"allocation may still be running there; Nomad stops it when the node reconnects (see: status %s)",
				phrase.ShortID(a.ID), a.Node, a.JobID)
		case a.Status == "lost":
			return "", true, fmt.Errorf("allocation %s is lost: its node %s is down, and the allocation may still be "+
				"running there (see: status %s)", phrase.ShortID(a.ID), a.Node, a.JobID)
		default:
			return "", a.TerminalStatus(), nil
		}
	}
	return "", true, nil
}
