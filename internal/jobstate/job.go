// Package jobstate describes in words whether jobs and tasks are up and, if not, why. It decides from listings alone:
// it reads nothing, and its functions are pure. It does not escape untrusted text.
package jobstate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/backends"
)

// Level is how urgent a state is.
type Level int

// The levels, in order.
const (
	Neutral Level = iota // nothing runs, and nothing is wrong: finished, stopped, waiting, periodic
	Good
	Warn // not up yet, or has had problems
	Bad
)

// State is the state of a job or a task.
type State struct {
	Word    string // such as "2/3" or "running"
	Reasons []string
	Level   Level
	Problem bool // it needs attention

	Unhealthy bool // of a running task: a service check fails, or Nomad reports the allocation as unhealthy
}

// Reason returns the reasons as one text.
func (s State) Reason() string { return strings.Join(s.Reasons, ", ") }

// Clause returns the state with its reasons as a clause without a subject: "is restarting: exit 2, restarts in 12s".
func (s State) Clause() string {
	clause := "is " + s.Word
	if s.Word == "failed" {
		clause = "has failed"
	}
	if len(s.Reasons) > 0 {
		clause += ": " + s.Reason()
	}
	return clause
}

// Count returns how many of the wanted allocations are running. It counts an allocation and its replacement as one, and
// does not count canaries.
func Count(job backends.Job) (running, wanted int) {
	type instance struct{ group, name, node string }
	up, wantedOf := map[instance]bool{}, map[string]int{}
	for _, a := range job.Allocations {
		if a.Canary || a.Desired != "" && a.Desired != "run" || a.Status == "complete" || replaced(a) {
			continue
		}
		key := instance{a.Group, a.Name, ""}
		if a.JobType == "system" || a.JobType == "sysbatch" {
			key.node = a.NodeID
		}
		if _, known := up[key]; !known {
			wantedOf[a.Group]++
		}
		up[key] = up[key] || a.Status == "running"
	}
	for _, u := range job.Unplaced {
		wantedOf[u.Group] += u.Count
	}
	if d := job.LatestDeployment; d != nil && active(d) {
		for _, g := range d.Groups { // a group that is being updated counts allocations of both versions
			wantedOf[g.Group] = g.Desired
		}
	}
	for _, isUp := range up {
		if isUp {
			running++
		}
	}
	for _, n := range wantedOf {
		wanted += n
	}
	return running, max(wanted, running)
}

// replaced reports whether an allocation is lost, or terminal and replaced by another one.
func replaced(a backends.Allocation) bool {
	return a.TerminalStatus() && (a.Next != "" || a.Status == "lost")
}

// Superseded reports whether an allocation has failed and matters no longer: Nomad has replaced it or does not want
// it.
func Superseded(a backends.Allocation) bool {
	return a.Status == "failed" && (a.Next != "" || a.Desired != "" && a.Desired != "run")
}

func active(d *backends.Deployment) bool {
	switch d.Status {
	case "running", "paused", "pending", "blocked", "unblocking", "initializing":
		return true
	}
	return false
}

// Job returns the state of a job. It does not need the allocations that are hidden by default.
func Job(job backends.Job) State {
	running, wanted := Count(job)
	s := State{Word: fmt.Sprintf("%d/%d", running, wanted), Level: Good}
	batch := job.Type == "batch" || job.Type == "sysbatch"
	switch {
	case job.Stopped && running > 0:
		return State{Word: "stopping", Level: Warn}
	case job.Stopped:
		return State{Word: "stopped"}
	case job.Submitted.IsZero() && job.Status == "dead" && job.ModifyIndex == 0:
		return State{Word: "dead", Reasons: []string{"purged; its last allocations are stopping"}}
	case job.Parent == "" && job.Periodic:
		return State{Word: "periodic", Reasons: []string{"see: batch"}}
	case job.Parent == "" && job.Parameterized:
		return State{Word: "parameterized", Reasons: []string{"see: batch"}}
	case batch && job.Status == "dead":
		return finished(job)
	case wanted == 0 && job.Status == "pending":
		return State{Word: "pending", Level: Warn}
	case wanted == 0 && job.Type == "service":
		return State{Word: "count 0"}
	case wanted == 0 && batch:
		return State{Word: job.Status}
	}
	failed := slices.ContainsFunc(job.Allocations, currentlyFailed) || job.DeploymentStatus == "failed"
	switch {
	case running == wanted:
	case running == 0 && (failed || len(job.Unplaced) > 0):
		s.Level = Bad
	default:
		s.Level = Warn
	}
	s.Problem = s.Level == Bad
	if len(job.Unplaced) == 0 {
		s.addDeployment(job)
	}
	never := len(job.Allocations) == 0 && job.Counts.Failed+job.Counts.Complete+job.Counts.Lost == 0
	for _, u := range job.Unplaced {
		text := u.Group + " not placed: " + strings.Join(u.Reasons, ", ")
		if never {
			text = "never placed: " + strings.Join(u.Reasons, ", ")
			if len(job.Unplaced) > 1 {
				text = u.Group + " " + text
			}
		}
		s.Reasons, s.Problem, s.Level = append(s.Reasons, text), true, max(s.Level, Warn)
	}
	if d := job.LatestDeployment; d != nil && d.Status == "failed" && len(job.Unplaced) > 0 {
		s.addDeployment(job)
	}
	return s
}

func currentlyFailed(a backends.Allocation) bool { return a.Status == "failed" && !Superseded(a) }

// finished returns the state of a dead batch job.
func finished(job backends.Job) State {
	switch c := job.Counts; {
	case slices.ContainsFunc(job.Allocations, currentlyFailed), c.Failed > 0 && c.Complete == 0:
		return State{Word: "failed", Level: Bad, Problem: true}
	case c.Lost > 0 && c.Complete == 0:
		return State{Word: "lost", Level: Bad, Problem: true}
	}
	return State{Word: "complete"}
}

// addDeployment adds the state of the latest deployment if the deployment has failed or is active.
func (s *State) addDeployment(job backends.Job) {
	d := job.LatestDeployment
	if d == nil {
		return
	}
	switch {
	case d.Status == "failed":
		text := "deployment failed"
		if cause := strings.TrimPrefix(d.Description, "Failed due to "); cause != "" {
			text += ": " + cause
		}
		s.Reasons, s.Problem, s.Level = append(s.Reasons, text), true, max(s.Level, Warn)
		return
	case !active(d):
		return
	}
	s.Level = max(s.Level, Warn)
	healthy, desired := 0, 0
	for _, g := range d.Groups {
		healthy, desired = healthy+g.Healthy, desired+g.Desired
		if g.Canaries > 0 && !g.Promoted {
			switch {
			case g.Healthy < g.Canaries:
				s.Reasons = append(s.Reasons, fmt.Sprintf("%d of %d canaries of %s healthy", g.Healthy, g.Canaries, g.Group))
			case g.AutoPromote || strings.Contains(d.Description, "automatic promotion"):
				s.Reasons = append(s.Reasons, "canaries healthy, Nomad promotes them")
			default:
				s.Reasons, s.Problem = append(s.Reasons, "needs promotion: canaries healthy (see: promote "+job.ID+")"), true
			}
			return
		}
	}
	version, of := "", ""
	if d.Version > 0 { // allocations of an earlier version do not count as healthy
		version = fmt.Sprintf(" version %d", d.Version)
		of = " of" + version
	}
	text := fmt.Sprintf("deploying%s: %d of %d healthy", version, healthy, desired)
	if d.Status == "paused" {
		text = fmt.Sprintf("deployment%s paused: %d of %d healthy (see: resume %s)", of, healthy, desired, job.ID)
		s.Problem = true
	}
	s.Reasons = append(s.Reasons, text)
}

// Age returns a duration with one unit, such as 3m or 2w.
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 14*day:
		return fmt.Sprintf("%dd", d/day)
	case d < 2*365*day:
		return fmt.Sprintf("%dw", d/(7*day))
	}
	return fmt.Sprintf("%dy", d/(365*day))
}
