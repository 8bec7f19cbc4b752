package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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

For a periodic job, Next is the time until its next run, with its date if there is
room, and Schedule has its cron expressions, with the time zone if it is not UTC. For a
parameterized job, Schedule has its required meta keys and, in brackets, the
optional ones. In a pipe, the heading of Schedule is Config.

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
	listed, err := listJobs(ctx, req, false)
	if !canShow(err) {
		return err
	}
	last := latestChildren(listed)
	scheduled := slices.DeleteFunc(listed, func(j backends.Job) bool {
		return j.Parent != "" || !j.Periodic && !j.Parameterized
	})
	jobs := filterJobs(req, slices.Clone(scheduled))
	schedules, serr := req.Access.Cluster.Schedules(ctx, jobs)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = errors.Join(err, serr)
	if b.json {
		return cmp.Or(render.JSON(out, batchJSON(jobs, schedules, last)), err)
	}
	if len(jobs) == 0 && err == nil {
		text := "no periodic or parameterized jobs"
		if filter := strings.Join(req.Args, " "); filter != "" {
			text = fmt.Sprintf("no periodic or parameterized job matches %s%s", filter, similarName(filter, scheduled))
		}
		printListingNote(req, out, b.json, text)
		if req.Console.Terminal != nil {
			return nil
		}
	}
	rows := batchRows(jobs, schedules, last, time.Now())
	if req.Console.Terminal != nil {
		var text strings.Builder
		writeBatchTerminal(&text, rows, req.Console.Style())
		_, werr := io.WriteString(out, text.String())
		return cmp.Or(werr, err)
	}
	table := render.NewTable("Job ID", "Next", "", "Config", "Last")
	for _, r := range rows {
		table.Row(r.name, r.next, r.at, r.config, childOutcome(r.last))
	}
	return cmp.Or(table.Write(out), err)
}

// keyOf returns the key under which latestChildren stores the latest child of j. Its Root is empty: latestChildren
// knows only the child, and a child does not contain the Root of its parent.
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
