package commands

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(status) }) }

type status struct {
	watchFlag
	json bool
}

func (s *status) Spec() router.Spec {
	return router.Spec{
		Name:          "status",
		Args:          "JOB",
		Short:         "Like nomad job status",
		Group:         router.GroupLook,
		Rank:          4,
		Target:        router.TargetJob,
		RightSet:      router.Read,
		WantsTerminal: true,
		JSON:          jobOutput{},
		Long: `
Show the status of a job, like nomad job status: summary, groups, child jobs, latest
deployment, placement failures, recent evaluations and allocations.`,
		Examples: []router.Example{
			{Line: "status p-team1-web"},
			{Line: "status --watch 5 p-team1-web", Comment: "refresh every 5 seconds"},
		},
		Flags: func(f *pflag.FlagSet) {
			s.watchFlag.bind(f)
			f.BoolVar(&s.json, "json", false, "print JSON")
		},
	}
}

func (s *status) Run(ctx context.Context, req *router.Request) error {
	return s.watchFlag.run(ctx, req, func(ctx context.Context, out io.Writer) error {
		done := req.Console.ShowActivity("waiting for the cluster")
		defer done()
		job, err := req.Access.Cluster.Job(ctx, req.Target.Job)
		if err != nil {
			return phrase.JobError(req.Target.Job, err)
		}
		var children []backends.Job
		if job.Children != nil {
			jobs, err := req.Access.Cluster.Jobs(ctx, backends.Selection{Tier: job.Tier, Namespace: job.Namespace})
			if err != nil {
				return err
			}
			children = slices.DeleteFunc(jobs, func(j backends.Job) bool { return j.Parent != job.ID })
		}
		done()
		if s.json {
			return render.JSON(out, jobJSON(job, nil, nil))
		}
		_, err = io.WriteString(out, statusText(job, children, req.Console.Style()))
		return err
	})
}

// maxRecent is the maximum number of evaluations, and of complete and lost allocations, in the output of status.
const maxRecent = 10

func statusText(job backends.JobDetail, children []backends.Job, style render.Style) string {
	var b strings.Builder
	facts := func(pairs ...string) {
		width := 0
		for i := 0; i < len(pairs); i += 2 {
			width = max(width, len(pairs[i]))
		}
		for i := 0; i < len(pairs); i += 2 {
			text := style.Truncate(escape.Text(pairs[i+1]), width+3)
			if pairs[i] == "Status" {
				text = style.Colorize(render.StateColor(pairs[i+1]), text)
			}
			fmt.Fprintf(&b, "%-*s = %s\n", width, pairs[i], text)
		}
	}
	state := job.Status
	if job.Stopped {
		state += " (stopped)"
	}
	pairs := []string{
		"ID", job.ID, "Name", job.Name, "Submit Date", job.Submitted.Format(time.RFC3339), "Type", job.Type,
		"Priority", fmt.Sprint(job.Priority), "Datacenters", strings.Join(job.Datacenters, ","), "Namespace", job.Namespace,
		"Node Pool", job.NodePool, "Tier", job.Tier, "Version", fmt.Sprint(job.Version), "Status", state,
		"Periodic", fmt.Sprint(job.Periodic), "Parameterized", fmt.Sprint(job.Parameterized),
	}
	if job.Periodic {
		next := "never"
		if !job.Schedule.Next.IsZero() {
			next = job.Schedule.Next.Format(time.RFC3339)
		}
		pairs = append(pairs, "Cron", scheduleText(job.Schedule), "Next Periodic Launch", next)
	}
	facts(pairs...)
	if s := job.Schedule; s.Parameterized {
		b.WriteString("\nParameterized Job\n")
		facts("Payload", s.Payload, "Required Metadata", cmp.Or(strings.Join(s.MetaRequired, ", "), "<none>"),
			"Optional Metadata", cmp.Or(strings.Join(s.MetaOptional, ", "), "<none>"))
	}
	if job.Children != nil {
		section(&b, "Children Job Summary", style, [][]string{
			{"Pending", "Running", "Dead"},
			{fmt.Sprint(job.Children.Pending), fmt.Sprint(job.Children.Running), fmt.Sprint(job.Children.Dead)},
		})
		heading := "Previously Launched Jobs"
		if job.Parameterized {
			heading = "Dispatched Jobs"
		}
		rows := [][]string{{"ID", "Status", "Outcome"}}
		for _, child := range children {
			rows = append(rows, []string{child.ID, child.Status, childOutcome(&child)})
		}
		if len(rows) == 1 {
			rows = [][]string{{"No child jobs in Nomad"}}
		}
		section(&b, heading, style, rows)
	} else {
		rows := [][]string{{"Task Group", "Queued", "Starting", "Running", "Failed", "Complete", "Lost", "Unknown"}}
		for _, g := range job.Groups {
			c := g.Counts
			rows = append(rows, append([]string{g.Name},
				numberCells(c.Queued, c.Starting, c.Running, c.Failed, c.Complete, c.Lost, c.Unknown)...))
		}
		section(&b, "Summary", style, rows)
	}
	if len(job.Unplaced) > 0 {
		b.WriteString("\nPlacement Failure\n")
		for _, u := range job.Unplaced {
			fmt.Fprintf(&b, "Task Group \"%s\":\n", escape.Text(u.Group))
			for _, reason := range u.Reasons {
				b.WriteString("  * " + style.Truncate(escape.Text(reason), 4) + "\n")
			}
		}
	}
	if d := job.LatestDeployment; d != nil {
		b.WriteString("\nLatest Deployment\n")
		facts("ID", phrase.ShortID(d.ID), "Status", d.Status, "Description", d.Description)
		rows := [][]string{{"Task Group", "Desired", "Placed", "Healthy", "Unhealthy", "Progress Deadline"}}
		for _, g := range d.Groups {
			deadline := "N/A"
			if !g.ProgressDeadline.IsZero() {
				deadline = g.ProgressDeadline.Format(time.RFC3339)
			}
			rows = append(rows, append(append([]string{g.Group}, numberCells(g.Desired, g.Placed, g.Healthy, g.Unhealthy)...),
				deadline))
		}
		section(&b, "Deployed", style, rows)
	}
	if len(job.Evaluations) > 0 {
		rows := [][]string{{"ID", "Priority", "Triggered By", "Status", "Placement Failures", "Created"}}
		for _, e := range job.Evaluations[:min(maxRecent, len(job.Evaluations))] {
			failures := fmt.Sprint(len(e.Unplaced) > 0)
			if e.Status == "blocked" {
				failures = "N/A - In Progress"
			}
			rows = append(rows, []string{
				phrase.ShortID(e.ID), fmt.Sprint(e.Priority), e.Trigger, e.Status, failures,
				ago(e.Created),
			})
		}
		section(&b, "Evaluations", style, rows)
	}
	if job.Children == nil {
		b.WriteString(allocationsText(job.Allocations, style))
	}
	return b.String()
}

// allocationsText lists all allocations, except complete and lost ones older than the newest maxRecent.
func allocationsText(all []backends.Allocation, style render.Style) string {
	var b strings.Builder
	finished := slices.DeleteFunc(slices.Clone(all), func(a backends.Allocation) bool { return !a.HiddenByDefault() })
	slices.SortFunc(finished, func(x, y backends.Allocation) int { return y.Created.Compare(x.Created) })
	old := map[string]bool{}
	for _, a := range finished[min(maxRecent, len(finished)):] {
		old[a.ID] = true
	}
	rows := [][]string{{"ID", "Node", "Task Group", "Version", "Desired", "Status", "Created", "Modified"}}
	for _, a := range all {
		if !old[a.ID] {
			rows = append(rows, []string{
				phrase.ShortID(a.ID), cmp.Or(a.Node, "-"), a.Group, fmt.Sprint(a.Version), a.Desired, a.Status,
				ago(a.Created), ago(a.Modified),
			})
		}
	}
	if len(rows) == 1 {
		return "\nAllocations\nNo allocations placed\n"
	}
	section(&b, "Allocations", style, rows)
	if len(old) > 0 {
		fmt.Fprintf(&b, "... and %d older finished allocations (see: ps --all)\n", len(old))
	}
	return b.String()
}

// ago returns the time since t in two units, as in Nomad's own output: 3h12m ago.
func ago(t time.Time) string {
	d := time.Since(t).Round(time.Second)
	days := d / (24 * time.Hour)
	switch {
	case d < 0:
		return "0s ago"
	case days > 0:
		return fmt.Sprintf("%dd%dh ago", days, d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm ago", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds ago", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds ago", d/time.Second)
}

// section writes a heading and a table with two spaces between columns.
func section(b *strings.Builder, heading string, style render.Style, rows [][]string) {
	b.WriteString("\n" + heading + "\n")
	render.Columns(b, rows, style)
}
