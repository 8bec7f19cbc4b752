package phrase

import (
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
)

// Allocation returns the name of an allocation for messages: its group and index, or for a system job its group and
// node, and its short ID.
func Allocation(a backends.Allocation) string {
	name := strings.TrimPrefix(a.Name, a.JobID+".")
	if a.JobType == "system" || a.JobType == "sysbatch" {
		name = a.Group + " on " + a.Node
	}
	return name + " " + ShortID(a.ID)
}

// Allocations lists allocations by index or node, and ID.
func Allocations(allocations []backends.Allocation) string {
	var all []string
	for _, a := range allocations {
		all = append(all, Allocation(a))
	}
	return strings.Join(all, ", ")
}

// Replacements lists allocations and their replacements.
func Replacements(replaced, replacements []backends.Allocation) string {
	var all []string
	for i, a := range replaced {
		if i < len(replacements) {
			all = append(all, Allocation(a)+" -> "+ShortID(replacements[i].ID))
		}
	}
	return strings.Join(all, ", ")
}

// FailedOrStopped returns the number of allocations, such as "2 failed allocations".
func FailedOrStopped(allocations []backends.Allocation) string {
	isFailed := func(a backends.Allocation) bool { return a.Status == "failed" }
	isStopped := func(a backends.Allocation) bool { return !isFailed(a) }
	state := "failed"
	if slices.ContainsFunc(allocations, isStopped) {
		state = "stopped"
		if slices.ContainsFunc(allocations, isFailed) {
			state = "failed or stopped"
		}
	}
	return Count(len(allocations), state+" allocation")
}

// Unplaced lists the groups that Nomad cannot place, each with the reasons.
func Unplaced(groups []backends.UnplacedGroup) string {
	var all []string
	for _, u := range groups {
		all = append(all, u.Group+": "+strings.Join(u.Reasons, ", "))
	}
	return strings.Join(all, "; ")
}

// AfterStop describes what Nomad does after an allocation of a job was stopped. next is the allocation that replaces
// it; empty: not known.
func AfterStop(job backends.Job, next string) string {
	switch {
	case job.Type == "system":
		return fmt.Sprintf("Nomad does not replace allocations of a system job until the job or the node changes "+
			"(bring it back: start %s)", job.ID)
	case job.Type == "sysbatch":
		return "Nomad does not replace allocations of a sysbatch job until the job or the node changes"
	case next != "":
		return "Nomad replaces it with " + ShortID(next)
	}
	return "Nomad replaces it"
}
