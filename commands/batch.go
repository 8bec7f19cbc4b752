package commands

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(batch) }) }

type batch struct {
	watchFlag
	json bool
}

func (b *batch) Spec() router.Spec {
	return router.Spec{
		Name:          "batch",
		Args:          "[FILTER]",
		Short:         "Periodic, parameterized jobs",
		Group:         router.GroupLook,
		Rank:          7,
		Target:        router.TargetScope,
		RightSet:      router.Read,
		WantsTerminal: true,
		JSON:          batchOutput{},
		Long: `
List periodic and parameterized jobs. Other batch jobs are listed by ps.

` + filterHelp + `

For a periodic job, Next is the time until its next run, with the date of that run,
and Config has its cron expressions, with the time zone if it is not UTC. For a
parameterized job, Config has its required meta keys and, in brackets, the optional
ones.

The column Last shows the latest child job that Nomad still has and how it
finished. An "unknown" child job may still be running on a disconnected node.`,
		Examples: []router.Example{
			{Line: "batch", Comment: "all your periodic and parameterized jobs"},
			{Line: "batch --watch 10 import", Comment: "refresh every 10 seconds"},
		},
		Flags: func(f *pflag.FlagSet) {
			b.watchFlag.bind(f)
			f.BoolVar(&b.json, "json", false, "print JSON")
		},
	}
}

func (b *batch) Run(ctx context.Context, req *router.Request) error {
	return b.watchFlag.run(ctx, req, func(ctx context.Context, out io.Writer) error { return b.draw(ctx, req, out) })
}

func (b *batch) draw(ctx context.Context, req *router.Request, out io.Writer) error {
	jobs, err := listJobs(ctx, req, false)
	if !canShow(err) {
		return err
	}
	last := latestChildren(jobs)
	jobs = slices.DeleteFunc(filterJobs(req, jobs), func(j backends.Job) bool {
		return j.Parent != "" || !j.Periodic && !j.Parameterized
	})
	schedules, serr := req.Access.Cluster.Schedules(ctx, jobs)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = errors.Join(err, serr)
	if b.json {
		return cmp.Or(render.JSON(out, batchJSON(jobs, schedules, last)), err)
	}
	table := render.NewTable("Job ID", "Next", "", "Config", "Last").DropWhenNarrow(2, 4)
	where := qualifiers(jobs)
	now := time.Now()
	for i, job := range jobs {
		s := schedules[i]
		until, at := "", ""
		switch {
		case job.Stopped:
			until = "stopped"
		case s.Disabled:
			until = "disabled"
		case s.Parameterized:
			until = "dispatch"
		case !s.Next.IsZero():
			until = s.Next.Truncate(time.Second).Sub(now.Truncate(time.Second)).String()
			at = s.Next.Format(time.RFC3339)
		}
		name := strings.Join(append([]string{job.ID}, where[i]...), ", ")
		table.Row(name, until, at, scheduleText(s), childOutcome(last[keyOf(job)]))
	}
	return cmp.Or(table.Write(out, req.Console.Style()), err)
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

// keyOf returns the key of a job in latestChildren. It has no root, because children do not have their parent's.
func keyOf(j backends.Job) backends.JobRef {
	return backends.JobRef{Tier: j.Tier, Namespace: j.Namespace, ID: j.ID}
}

// latestChildren returns the latest child of each job.
func latestChildren(jobs []backends.Job) map[backends.JobRef]*backends.Job {
	last := map[backends.JobRef]*backends.Job{}
	for _, job := range jobs {
		key := backends.JobRef{Tier: job.Tier, Namespace: job.Namespace, ID: job.Parent}
		if job.Parent != "" && (last[key] == nil || job.Submitted.After(last[key].Submitted)) {
			last[key] = &job
		}
	}
	return last
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

func childOutcome(launch *backends.Job) string {
	if launch == nil {
		return "-"
	}
	return childState(launch) + " " + humanize.Time(launch.Submitted)
}

// Scripts read the fields of batch --json. Fields may be added but never renamed.
type (
	batchOutput struct {
		Jobs []batchJob `json:"jobs" doc:"by ID, tier and namespace"`
	}
	batchJob struct {
		Tier          string     `json:"tier"`
		Namespace     string     `json:"namespace"`
		Job           string     `json:"job" doc:"the job's ID"`
		Parameterized bool       `json:"parameterized"`
		Disabled      bool       `json:"disabled" doc:"the job is stopped, or its schedule is disabled"`
		Next          *time.Time `json:"next" doc:"the next run; null: none"`
		Cron          []string   `json:"cron"`
		TimeZone      string     `json:"time_zone"`
		MetaRequired  []string   `json:"meta_required"`
		MetaOptional  []string   `json:"meta_optional"`
		Payload       string     `json:"payload" doc:"optional, required, forbidden; empty for a periodic job"`
		LastLaunch    *time.Time `json:"last_launch" doc:"when the latest child job was submitted; null: none"`
		LastOutcome   string     `json:"last_outcome" doc:"complete, failed, lost, stopped, running, pending or unknown"`
	}
)

func batchJSON(jobs []backends.Job, schedules []backends.Schedule, last map[backends.JobRef]*backends.Job) batchOutput {
	out := batchOutput{Jobs: []batchJob{}}
	for i, job := range jobs {
		s := schedules[i]
		one := batchJob{
			Tier: job.Tier, Namespace: job.Namespace, Job: job.ID, Parameterized: s.Parameterized,
			Disabled: s.Disabled || job.Stopped,
			Cron:     append([]string{}, s.Specs...), TimeZone: cmp.Or(s.TimeZone, "UTC"),
			MetaRequired: append([]string{}, s.MetaRequired...), MetaOptional: append([]string{}, s.MetaOptional...),
			Payload: s.Payload,
		}
		if !s.Next.IsZero() {
			one.Next = &s.Next
		}
		if launch := last[keyOf(job)]; launch != nil {
			one.LastLaunch, one.LastOutcome = &launch.Submitted, childState(launch)
		}
		out.Jobs = append(out.Jobs, one)
	}
	return out
}
