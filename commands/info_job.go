package commands

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
)

// maxChildren is the number of child jobs in the output of info.
const maxChildren = 5

// writeJob writes the block of the job.
func (v *infoView) writeJob(text *render.Details) {
	job := v.job
	state := jobstate.Job(job.Job)
	reasons := slices.Concat(v.taskProblem(), state.Reasons, v.lost())
	if state.Level == jobstate.Good && len(reasons) > 0 {
		state.Level = jobstate.Warn
	}
	text.Heading(job.ID, state.Word, "", "", levelColor(state.Level))
	for _, reason := range reasons {
		if job.Children != nil {
			break // they are shown below
		}
		text.ColoredFact("Reason", "", reason, levelColor(max(state.Level, jobstate.Warn)))
	}
	status := job.Status
	if job.Stopped {
		status = "stopped"
	}
	text.Fact("Job", job.Type, fmt.Sprintf("%s, version %d, namespace %s, tier %s, submitted %s",
		status, job.Version, job.Namespace, job.Tier, v.when(job.Submitted)))
	if job.Parent != "" {
		text.Fact("Parent", "", job.Parent)
	}
	for _, u := range job.Unplaced {
		if g, ok := groupOf(job, u.Group); ok {
			text.Fact("Needs", u.Group, needs(g))
		}
		v.writePortUsers(text, u)
	}
	v.writeSchedule(text)
	v.writeDeployment(text)
	if len(v.leftOut) > 0 {
		text.Fact("Earlier", "", v.leftOutText()+" (see: ps --all "+job.ID+")")
	}
}

// collisionPattern matches Nomad's reason for a static port that is in use on a node.
var collisionPattern = regexp.MustCompile(`reserved port collision .*=([0-9]+)\b`)

// maxPortUsers is the number of allocations in the output of info that use a port.
const maxPortUsers = 5

// writePortUsers writes which allocations of the job itself use a static port that keeps a group from being placed.
func (v *infoView) writePortUsers(text *render.Details, u backends.UnplacedGroup) {
	for _, reason := range u.Reasons {
		found := collisionPattern.FindStringSubmatch(reason)
		if found == nil {
			continue
		}
		var users []string
		for _, a := range v.allocations {
			uses := func(p backends.Port) bool { return strconv.Itoa(p.Value) == found[1] }
			if !a.TerminalStatus() && slices.ContainsFunc(v.details[a.ID].Ports, uses) {
				users = append(users, strings.TrimPrefix(a.Name, a.JobID+".")+" on "+a.Node)
			}
		}
		if n := len(users) - maxPortUsers; n > 0 {
			users = append(users[:maxPortUsers], fmt.Sprintf("and %d more", n))
		}
		if len(users) > 0 {
			text.Fact("Port", found[1], "used by "+strings.Join(users, ", "))
		}
	}
}

// taskProblem returns what is wrong with the first task that needs attention, and how many others do. A task that has
// started comes before those that wait for it.
func (v *infoView) taskProblem() []string {
	var first []string // that task's reason
	hasStarted, n := false, 0
	for _, a := range v.allocations {
		for _, t := range a.Tasks {
			state := jobstate.Task(a, t, v.checks[a.ID], v.now)
			if !state.Problem {
				continue
			}
			n++
			if first == nil || !hasStarted && !t.Started.IsZero() {
				text := "task " + t.Name + " " + state.Clause()
				if state.Word == "running" { // the reason is what is wrong
					text = "task " + t.Name + ": " + state.Reason()
				}
				first, hasStarted = []string{text}, !t.Started.IsZero()
			}
		}
	}
	if n > 1 {
		first[0] += "; " + phrase.Count(n-1, "other task") + " with problems"
	}
	return first
}

// lost returns the nodes of lost allocations that Nomad cannot replace.
func (v *infoView) lost() (reasons []string) {
	isUnplaced := func(group string) bool {
		return slices.ContainsFunc(v.job.Unplaced, func(u backends.UnplacedGroup) bool { return u.Group == group })
	}
	count := map[string]int{} // by node
	for i, a := range v.job.Allocations {
		// The allocations of an instance are sorted newest first.
		if a.Status == "lost" && isUnplaced(a.Group) && !slices.ContainsFunc(v.job.Allocations[:i], a.SameInstance) {
			count[a.Node]++
		}
	}
	for _, node := range slices.Sorted(maps.Keys(count)) {
		reasons = append(reasons, phrase.Count(count[node], "allocation")+" lost with node "+node)
	}
	return reasons
}

// leftOutText counts the allocations that are left out: "4 failed, 1 lost allocations".
func (v *infoView) leftOutText() string {
	var counts []string
	total := 0
	for _, status := range slices.Sorted(maps.Keys(v.leftOut)) {
		counts = append(counts, fmt.Sprintf("%d %s", v.leftOut[status], status))
		total += v.leftOut[status]
	}
	text := strings.Join(counts, ", ") + " allocation"
	if total > 1 {
		text += "s"
	}
	return text
}

// writeSchedule writes when a periodic job runs, how a parameterized job is dispatched, and their child jobs.
func (v *infoView) writeSchedule(text *render.Details) {
	job, s := v.job, v.job.Schedule
	for _, cron := range s.Specs {
		text.Fact("Schedule", cron, s.TimeZone)
	}
	switch {
	case s.Disabled && len(s.Specs) > 0:
		text.Fact("Next run", "never", "the job is stopped or its schedule is disabled")
	case !s.Next.IsZero():
		text.Fact("Next run", v.when(s.Next), s.Next.Format(time.RFC3339))
	}
	if s.ProhibitOverlap {
		text.Fact("Overlap", "prohibited", "no run starts while an earlier one is running")
	}
	if s.Parameterized {
		text.Fact("Meta", "required", phrase.List(s.MetaRequired))
		text.Fact("Meta", "optional", phrase.List(s.MetaOptional))
		text.Fact("Payload", s.Payload, "")
	}
	if c := job.Children; c != nil {
		text.Fact("Child jobs", "", fmt.Sprintf("%d pending, %d running, %d dead", c.Pending, c.Running, c.Dead))
		for _, child := range v.children[:min(maxChildren, len(v.children))] {
			text.Event(v.when(child.Submitted), childState(&child), child.ID)
		}
	}
}

// writeDeployment writes the latest deployment with its groups.
func (v *infoView) writeDeployment(text *render.Details) {
	d := v.job.LatestDeployment
	if d == nil {
		return
	}
	text.Fact("Deployment", d.Status, phrase.ShortID(d.ID)+" of version "+fmt.Sprint(d.Version)+": "+d.Description)
	for _, g := range d.Groups {
		facts := []string{fmt.Sprintf("%d desired, %d placed, %d healthy, %d unhealthy",
			g.Desired, g.Placed, g.Healthy, g.Unhealthy)}
		switch {
		case g.Canaries > 0 && g.Promoted:
			facts = append(facts, canaries(g.Canaries)+" promoted")
		case g.Canaries > 0 && g.AutoPromote:
			facts = append(facts, canaries(g.Canaries)+", promoted automatically when healthy")
		case g.Canaries > 0:
			facts = append(facts, canaries(g.Canaries)+" not promoted")
		}
		if g.AutoRevert {
			facts = append(facts, "auto-revert")
		}
		if d.Status == "running" && !g.ProgressDeadline.IsZero() && !d.WaitsForPromotion(g) {
			facts = append(facts, "progress deadline "+v.when(g.ProgressDeadline))
		}
		text.Fact("", g.Group, strings.Join(facts, ", "))
	}
}

func canaries(n int) string {
	if n == 1 {
		return "1 canary"
	}
	return fmt.Sprintf("%d canaries", n)
}

func groupOf(job backends.JobDetail, name string) (g backends.Group, ok bool) {
	for _, g := range job.Groups {
		if g.Name == name {
			return g, true
		}
	}
	return g, false
}

// needs returns what a node must have for an allocation of the group. Tasks that do not run at the same time do not
// add up.
func needs(g backends.Group) string {
	var cpu, memory [3]int // of prestart, main and poststop tasks
	var sidecarCPU, sidecarMemory int
	for _, t := range g.Tasks {
		phase := 1
		switch t.Hook {
		case "prestart":
			phase = 0
		case "poststop":
			phase = 2
		}
		if t.Sidecar {
			sidecarCPU, sidecarMemory = sidecarCPU+t.CPU, sidecarMemory+int(t.Memory)
			continue
		}
		cpu[phase], memory[phase] = cpu[phase]+t.CPU, memory[phase]+int(t.Memory)
	}
	return fmt.Sprintf("CPU %d MHz, memory %s", sidecarCPU+max(cpu[0], cpu[1], cpu[2]),
		humanize.IBytes(uint64(sidecarMemory+max(memory[0], memory[1], memory[2]))))
}

// when returns a time relative to now: "3m ago" or "in 16s".
func (v *infoView) when(t time.Time) string {
	if t.After(v.now) {
		return "in " + jobstate.Age(t.Sub(v.now).Round(time.Second))
	}
	return jobstate.Age(v.now.Sub(t)) + " ago"
}
