package commands

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
)

// maxRecent is the maximum number of complete and lost allocations, and of rescheduling attempts, in status.
const maxRecent = 10

// statusView is what status shows.
type statusView struct {
	job      backends.JobDetail
	children []backends.Job
	evals    bool // also show the evaluations
	now      time.Time
	style    render.Style
}

// text returns the sections in the order of nomad job status.
func (v statusView) text() string {
	var b strings.Builder
	render.Facts(&b, v.facts(), v.style)
	if v.job.Children != nil {
		v.writeChildren(&b)
		return b.String()
	}
	rows := [][]string{{"Task Group", "Queued", "Starting", "Running", "Failed", "Complete", "Lost", "Unknown"}}
	for _, g := range v.job.Groups {
		c := g.Counts
		rows = append(rows, append([]string{g.Name},
			numberCells(c.Queued, c.Starting, c.Running, c.Failed, c.Complete, c.Lost, c.Unknown)...))
	}
	section(&b, "Summary", v.style, rows)
	if v.evals {
		v.writeEvaluations(&b)
	}
	v.writePlacementFailures(&b)
	v.writeRescheduling(&b)
	if d := v.job.LatestDeployment; d != nil {
		b.WriteString("\n" + latestDeploymentText(*d, v.style))
	}
	if len(v.job.Actions) > 0 {
		rows := [][]string{{"Action Name", "Task Group", "Task"}}
		for _, a := range v.job.Actions {
			rows = append(rows, []string{a.Name, a.Group, a.Task})
		}
		section(&b, "Actions", v.style, rows)
	}
	v.writeAllocations(&b)
	return b.String()
}

func (v statusView) facts() []render.Fact {
	job, state := v.job, v.job.Status
	if job.Stopped {
		state += " (stopped)"
	}
	facts := []render.Fact{
		{Name: "ID", Text: job.ID},
		{Name: "Name", Text: job.Name},
		{Name: "Submit Date", Text: job.Submitted.Format(time.RFC3339)},
		{Name: "Type", Text: job.Type},
		{Name: "Priority", Text: fmt.Sprint(job.Priority)},
		{Name: "Datacenters", Text: strings.Join(job.Datacenters, ",")},
		{Name: "Namespace", Text: job.Namespace},
		{Name: "Node Pool", Text: job.NodePool},
		{Name: "Tier", Text: job.Tier},
		{Name: "Version", Text: fmt.Sprint(job.Version)},
		{Name: "Status", Text: state},
		{Name: "Periodic", Text: fmt.Sprint(job.Periodic)},
		{Name: "Parameterized", Text: fmt.Sprint(job.Parameterized)},
	}
	if job.IdempotencyToken != "" {
		facts = append(facts, render.Fact{Name: "Idempotency Token", Text: job.IdempotencyToken})
	}
	if job.Periodic {
		next := "never"
		switch at := job.Schedule.Next; {
		case job.Stopped:
			next = "none (job stopped)"
		case job.Schedule.Disabled:
			next = "none (schedule disabled)"
		case !at.IsZero():
			next = at.Format(time.RFC3339) + " (" + v.fromNow(at) + ")"
		}
		facts = append(facts, render.Fact{Name: "Cron", Text: scheduleText(job.Schedule)},
			render.Fact{Name: "Next Periodic Launch", Text: next})
	}
	return facts
}

// writeChildren writes the child jobs of a periodic or parameterized job.
func (v statusView) writeChildren(b *strings.Builder) {
	summary, heading, none := "Children Job Summary", "Previously Launched Jobs", "No instances of periodic job found"
	if s := v.job.Schedule; s.Parameterized {
		summary, heading = "Parameterized Job Summary", "Dispatched Jobs"
		none = "No dispatched instances of parameterized job found"
		b.WriteString("\nParameterized Job\n")
		render.Facts(b, []render.Fact{
			{Name: "Payload", Text: s.Payload},
			{Name: "Required Metadata", Text: cmp.Or(strings.Join(s.MetaRequired, ", "), "<none>")},
			{Name: "Optional Metadata", Text: cmp.Or(strings.Join(s.MetaOptional, ", "), "<none>")},
		}, v.style)
	}
	c := v.job.Children
	section(b, summary, v.style, [][]string{{"Pending", "Running", "Dead"}, numberCells(c.Pending, c.Running, c.Dead)})
	if len(v.children) == 0 {
		b.WriteString("\n" + none + "\n")
		return
	}
	rows := [][]string{{"ID", "Status", "Outcome"}}
	for _, child := range v.children {
		rows = append(rows, []string{child.ID, child.Status, childState(&child) + " " + v.ago(child.Submitted)})
	}
	section(b, heading, v.style, rows)
}

func (v statusView) writeEvaluations(b *strings.Builder) {
	rows := [][]string{{"ID", "Priority", "Triggered By", "Status", "Placement Failures", "Created"}}
	for _, e := range v.job.Evaluations {
		failures := fmt.Sprint(len(e.Unplaced) > 0)
		if e.Status == "blocked" {
			failures = "N/A - In Progress"
		}
		rows = append(rows, []string{
			phrase.ShortID(e.ID), fmt.Sprint(e.Priority), e.Trigger, e.Status, failures, v.ago(e.Created),
		})
	}
	if len(rows) == 1 {
		b.WriteString("\nEvaluations\nNo evaluations found\n")
		return
	}
	section(b, "Evaluations", v.style, rows)
}

func (v statusView) writePlacementFailures(b *strings.Builder) {
	if len(v.job.Unplaced) == 0 {
		return
	}
	b.WriteString("\nPlacement Failure\n")
	for _, u := range v.job.Unplaced {
		fmt.Fprintf(b, "Task Group \"%s\":\n", escape.Text(u.Group))
		for _, reason := range u.Reasons {
			b.WriteString("  * " + render.Indented(escape.Text(reason), len("  * "), v.style.Width) + "\n")
		}
	}
}

// writeRescheduling writes when Nomad replaces failed allocations, the next attempt first.
func (v statusView) writeRescheduling(b *strings.Builder) {
	waiting := slices.DeleteFunc(slices.Clone(v.job.Allocations), func(a backends.Allocation) bool {
		return a.Next != "" || !a.RescheduleAt.After(v.now)
	})
	slices.SortStableFunc(waiting, func(x, y backends.Allocation) int { return x.RescheduleAt.Compare(y.RescheduleAt) })
	if len(waiting) == 0 {
		return
	}
	rows := [][]string{{"Task Group", "Allocation", "Attempt"}}
	for _, a := range waiting[:min(maxRecent, len(waiting))] {
		rows = append(rows, []string{a.Group, phrase.ShortID(a.ID), v.fromNow(a.RescheduleAt)})
	}
	section(b, "Future Rescheduling Attempts", v.style, rows)
	if more := len(waiting) - maxRecent; more > 0 {
		fmt.Fprintf(b, "... and %d later attempts\n", more)
	}
}

// writeAllocations writes all allocations, except complete and lost ones older than the newest maxRecent.
func (v statusView) writeAllocations(b *strings.Builder) {
	all := v.job.Allocations
	finished := slices.DeleteFunc(slices.Clone(all), func(a backends.Allocation) bool { return !a.HiddenByDefault() })
	slices.SortFunc(finished, func(x, y backends.Allocation) int { return y.Created.Compare(x.Created) })
	old := map[string]bool{}
	for _, a := range finished[min(maxRecent, len(finished)):] {
		old[a.ID] = true
	}
	maxRun := map[string]time.Duration{} // by group
	for _, g := range v.job.Groups {
		if g.MaxRun > 0 {
			maxRun[g.Name] = g.MaxRun
		}
	}
	heading := []string{"ID", "Node", "Task Group", "Version", "Desired", "Status", "Created", "Modified"}
	if len(maxRun) > 0 {
		heading = append(heading, "Max Run Deadline")
	}
	rows := [][]string{heading}
	for _, a := range all {
		if old[a.ID] {
			continue
		}
		row := []string{
			phrase.ShortID(a.ID), cmp.Or(a.Node, "-"), a.Group, fmt.Sprint(a.Version), a.Desired, a.Status,
			v.ago(a.Created), v.ago(a.Modified),
		}
		if limit := maxRun[a.Group]; limit > 0 {
			row = append(row, v.fromNow(a.Created.Add(limit)))
		}
		rows = append(rows, row)
	}
	if len(rows) == 1 {
		b.WriteString("\nAllocations\nNo allocations placed\n")
		return
	}
	section(b, "Allocations", v.style, rows)
	if len(old) > 0 {
		fmt.Fprintf(b, "... and %d older finished allocations (see: ps --all)\n", len(old))
	}
}

// ago returns the time since t, as in the output of the nomad CLI: 3h12m ago.
func (v statusView) ago(t time.Time) string {
	return twoUnits(v.now.Sub(t)) + " ago"
}

// fromNow returns the time until t, or since t if it has passed.
func (v statusView) fromNow(t time.Time) string {
	if t.Before(v.now) {
		return v.ago(t)
	}
	return twoUnits(t.Sub(v.now)) + " from now"
}

// twoUnits returns a duration in at most two units, as in 3h12m. It is 0s if the duration is negative.
func twoUnits(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days := d / (24 * time.Hour)
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// section writes a heading and a table with two spaces between columns.
func section(b *strings.Builder, heading string, style render.Style, rows [][]string) {
	b.WriteString("\n" + heading + "\n")
	render.Columns(b, rows, style)
}
