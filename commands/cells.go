package commands

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
)

// This file has the table cells and JSON values that several commands print.

// qualifiers returns the text that distinguishes each job from jobs with the same ID: the namespace if it is not
// "default", and the tier if the ID exists in several tiers.
func qualifiers(jobs []backends.Job) [][]string {
	tiers := map[string]map[string]bool{}
	for _, job := range jobs {
		if tiers[job.ID] == nil {
			tiers[job.ID] = map[string]bool{}
		}
		tiers[job.ID][job.Tier] = true
	}
	all := make([][]string, len(jobs))
	for i, job := range jobs {
		if job.Namespace != "default" {
			all[i] = append(all[i], "namespace "+job.Namespace)
		}
		if len(tiers[job.ID]) > 1 {
			all[i] = append(all[i], "tier "+job.Tier)
		}
	}
	return all
}

// placementFailures returns the reason for each group of the job that cannot be placed.
func placementFailures(job backends.Job) []string {
	var all []string
	for _, u := range job.Unplaced {
		all = append(all, fmt.Sprintf("%s not placed: %s", u.Group, strings.Join(u.Reasons, ", ")))
	}
	return all
}

// ageStart returns the time from which a task's age counts: when a running task started, when a finished task stopped,
// or the last change of the allocation.
func ageStart(a backends.Allocation, t backends.Task) time.Time {
	switch ended := a.TaskFinishedAt(t); {
	case a.Runs(t) && !t.Started.IsZero():
		return t.Started
	case !ended.IsZero():
		return ended
	}
	return a.Modified
}

// uptimeText returns the age of a task in words, with a prefix if the task is dead or on a disconnected node.
func uptimeText(a backends.Allocation, t backends.Task) string {
	age := humanize.Time(ageStart(a, t))
	switch {
	case t.Started.IsZero():
	case a.TaskState(t) == backends.StateDead:
		return "ended " + age
	case a.TaskState(t) == backends.StateUnknown:
		return "last seen " + age
	}
	return age
}

// usageText returns CPU and memory as shown in the table: 0 for a task that is not running, and - if they are unknown.
func usageText(a backends.Allocation, t backends.Task, usage map[string]backends.Usage) (cpu, memory string) {
	if !a.MayRun(t) {
		return "0", "0 B(0 B)"
	}
	u, ok := usage[t.ExecID]
	if !ok {
		return "-", "-"
	}
	return cpuText(u.CPU), memoryText(u.Memory) + "(" + memoryText(u.MemoryMax) + ")"
}

func cpuText(mhz *float64) string {
	if mhz == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f", math.Floor(*mhz))
}

func memoryText(bytes *uint64) string {
	if bytes == nil {
		return "-"
	}
	return humanize.IBytes(*bytes)
}

// numberCells returns numbers as cells.
func numberCells(ns ...int) []string {
	words := make([]string, len(ns))
	for i, n := range ns {
		words[i] = fmt.Sprint(n)
	}
	return words
}

// extraLetters returns the column Extra, as in the original nomadctld. It starts with the state of the allocation: F
// (failed), P (pending), lost, complete or unknown. If the allocation is running, it starts with P or complete if the
// task is in that state. A code for each of these events follows, oldest first: T terminated, O terminated for running
// out of memory, NR not restarting, KV killed because of Vault, U unhealthy.
func extraLetters(a backends.Allocation, t backends.Task) []string {
	flags := []string{}
	switch a.Status {
	case "failed":
		flags = append(flags, "F")
	case "pending":
		flags = append(flags, "P")
	case "lost", "complete", "unknown":
		flags = append(flags, a.Status)
	case "running":
		switch { // a task that runs before or after the others
		case t.State == "pending":
			flags = append(flags, "P")
		case t.State == backends.StateDead && !t.Failed:
			flags = append(flags, "complete")
		}
	}
	for _, e := range t.Events {
		switch e.Type {
		case "Terminated":
			if jobstate.FinishedWell(t, e) { // such as a prestart task
				continue
			}
			if jobstate.OOMKilled(e) {
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

// taskState returns the state of a task. If the allocation has no task states, because its client agent has not started
// it, the state is pending, or dead if the allocation is terminal.
func taskState(a backends.Allocation, t backends.Task) string {
	switch state := a.TaskState(t); {
	case state != "":
		return state
	case a.TerminalStatus():
		return backends.StateDead
	}
	return "pending"
}

// timeOrNull returns nil for an unknown time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// scheduleText returns the cron expressions and time zone, or the meta keys and payload of a parameterized job.
func scheduleText(s backends.Schedule) string {
	if s.Parameterized {
		words := slices.Clone(s.MetaRequired)
		for _, name := range s.MetaOptional {
			words = append(words, "["+name+"]")
		}
		if s.Payload == "required" {
			words = append(words, "payload")
		}
		return "meta: " + cmp.Or(strings.Join(words, " "), "none")
	}
	specs := strings.Join(s.Specs, ", ")
	if s.TimeZone != "" {
		specs += " " + s.TimeZone
	}
	return specs
}

// childState returns the state of a child job: running, pending, unknown, failed, lost, stopped or complete.
func childState(job *backends.Job) string {
	switch c := job.Counts; {
	case job.Status != "dead" && allDisconnected(job.Allocations):
		return backends.StateUnknown
	case job.Status != "dead":
		return job.Status
	case slices.ContainsFunc(job.Allocations, failedNotReplaced), c.Failed > 0 && c.Complete == 0:
		return "failed"
	case c.Lost > 0 && c.Complete == 0:
		return "lost"
	case job.Stopped:
		return "stopped"
	}
	return "complete"
}

// allDisconnected reports whether every allocation that is not terminal is on a disconnected node.
func allDisconnected(all []backends.Allocation) bool {
	unknown := false
	for _, a := range all {
		if !a.TerminalStatus() && a.Status != "unknown" {
			return false
		}
		unknown = unknown || a.Status == "unknown"
	}
	return unknown
}

// failedNotReplaced reports whether an allocation has failed and was not replaced.
func failedNotReplaced(a backends.Allocation) bool { return a.Status == "failed" && a.Next == "" }

// childOutcome returns the state and the age of a child job.
func childOutcome(child *backends.Job) string {
	if child == nil {
		return "-"
	}
	return childState(child) + " " + humanize.Time(child.Submitted)
}
