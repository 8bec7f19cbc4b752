package commands

import (
	"strings"

	"nomadctld/backends"
)

// taskFlags returns the column Extra with the letters of the original nomadctld: F or P for a failed or pending
// allocation, or lost, complete or unknown. Then a code for each of these events, oldest first: T terminated, O
// terminated for running out of memory, NR not restarting, KV killed because of Vault, U unhealthy.
func taskFlags(a backends.Allocation, t backends.Task) []string {
	flags := []string{}
	switch a.Status {
	case "failed":
		flags = append(flags, "F")
	case "pending":
		flags = append(flags, "P")
	case "lost", "complete", "unknown":
		flags = append(flags, a.Status)
	}
	for _, e := range t.Events {
		switch e.Type {
		case "Terminated":
			if e.Details["oom_killed"] == "true" || strings.Contains(e.Message, "OOM") {
				flags = append(flags, "O")
			} else {
				flags = append(flags, "T")
			}
		case "Not Restarting":
			flags = append(flags, "NR")
		case "Killing":
			if strings.Contains(strings.ToLower(e.Message), "vault") {
				flags = append(flags, "KV")
			}
		case "Alloc Unhealthy":
			flags = append(flags, "U")
		}
	}
	return flags
}
