package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"nomadctld/backends"
)

// isNewest reports whether no other allocation has replaced this one.
func isNewest(job backends.JobDetail, a backends.Allocation) bool {
	for _, b := range job.Allocations {
		if b.ID != a.ID && b.SameInstance(a) && b.Group == a.Group && b.Created.After(a.Created) {
			return false
		}
	}
	return a.Next == ""
}

// idleGrace is the time for which Nomad may appear to be idle, because an evaluation completes before its allocations
// are visible.
const idleGrace = 5 * time.Second

// waitUntilReplaced waits until the replacements of allocations are running, and returns them in the same order.
// change is the result of the request that makes Nomad replace them.
func waitUntilReplaced(
	ctx context.Context, cluster backends.Cluster, job backends.JobDetail, replaced []backends.Allocation,
	change backends.WriteResult, progress progressFunc,
) (replacements []backends.Allocation, err error) {
	var idle time.Time // since when Nomad has evaluated the job without replacing the allocations
	err = pollJob(ctx, cluster, job.Job, progress, func(now backends.JobDetail) (bool, error) {
		if now.ModifyIndex != job.ModifyIndex {
			return true, changedError(now)
		}
		replacements = nil
		var missing []string
		waiting := 0
		poststop := poststopTasks(now)
		for _, a := range replaced {
			b, ok := replacementOf(now, a)
			switch {
			case !ok:
				missing = append(missing, allocationLabel(a))
			case b.Status == "failed" || b.Status == "lost":
				return true, fmt.Errorf("allocation %s, which replaces %s, is %s (see: info %s, logs %s)",
					shortID(b.ID), shortID(a.ID), b.Status, shortID(b.ID), shortID(b.ID))
			case b.Status == "running" && isStarted(b, poststop), b.Status == "complete" && b.Desired == "run":
				replacements = append(replacements, b)
			default:
				waiting++
			}
		}
		switch {
		case len(missing) == 0 && waiting == 0:
			return true, nil
		case len(missing) == 0 || !isEvaluated(now, change.EvaluationID) || len(now.Unplaced) > 0:
			idle = time.Time{}
		case idle.IsZero():
			idle = time.Now()
		case time.Since(idle) > idleGrace:
			return true, fmt.Errorf("Nomad evaluated %s but did not replace: %s (see: info %s)",
				job.ID, strings.Join(missing, ", "), job.ID)
		}
		if len(now.Unplaced) > 0 {
			progress("cannot be placed: %s", unplacedReasons(now.Unplaced))
		} else {
			progress("%d of %s running again", len(replacements), plural(len(replaced), "allocation"))
		}
		return false, nil
	})
	return replacements, err
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

// allocationLabel names an allocation by its index, or for a system job by its node, and by its ID.
func allocationLabel(a backends.Allocation) string {
	name := strings.TrimPrefix(a.Name, a.JobID+".")
	if a.JobType == "system" || a.JobType == "sysbatch" {
		name = a.Group + " on " + a.Node
	}
	return name + " " + shortID(a.ID)
}

// replacementsText lists allocations and their replacements.
func replacementsText(replaced, replacements []backends.Allocation) string {
	var all []string
	for i, a := range replaced {
		if i < len(replacements) {
			all = append(all, allocationLabel(a)+" by "+shortID(replacements[i].ID))
		}
	}
	return strings.Join(all, ", ")
}
