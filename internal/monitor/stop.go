package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
		total = max(total, len(ActiveAllocations(now, group)))
		return StoppedStatus(now, group, change, total)
	})
	if errors.Is(err, backends.ErrNotFound) {
		return nil
	}
	return err
}

// StoppedStatus reports whether all allocations of a group, or of the whole job for "", have stopped. total is the
// largest number of allocations that were running or pending so far.
func StoppedStatus(
	now backends.JobDetail, group string, change backends.WriteResult, total int,
) (message string, done bool, err error) {
	if change.ModifyIndex != 0 && now.ModifyIndex > change.ModifyIndex {
		return "", true, supersededError(now)
	}
	left := len(ActiveAllocations(now, group))
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

// AllocationStoppedStatus reports whether an allocation has stopped. It returns an error if Nomad cannot stop it,
// because its node is disconnected or down.
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

// StoppedText returns the number of stopped allocations of a group, or of the whole job for "", after a colon. It
// returns "" if there are none. before is the state before the stop, and now shows the nodes that have disconnected
// since.
func StoppedText(before, now backends.JobDetail, group string) string {
	stopped, disconnected := 0, DisconnectedText(now, group)
	for _, a := range ActiveAllocations(before, group) {
		isUnknown := func(b backends.Allocation) bool { return b.ID == a.ID && b.Status == "unknown" }
		if !slices.ContainsFunc(now.Allocations, isUnknown) {
			stopped++
		}
	}
	switch {
	case stopped == 0 && disconnected == "":
		return ""
	case stopped == 0:
		return ": " + strings.TrimPrefix(disconnected, "; ")
	}
	return ": " + phrase.Count(stopped, "allocation") + disconnected
}

// DisconnectedText returns the number of allocations on disconnected nodes, after a semicolon, or "" if there are none.
func DisconnectedText(job backends.JobDetail, group string) string {
	n := 0
	for _, a := range job.Allocations {
		if a.Status == "unknown" && (group == "" || a.Group == group) {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	node := "a disconnected node"
	if n > 1 {
		node = "disconnected nodes"
	}
	return fmt.Sprintf("; %s on %s may still be running", phrase.Count(n, "allocation"), node)
}
