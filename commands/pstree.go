package commands

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(pstree) }) }

type pstree struct {
	watchFlag
	json, noStats bool
}

func (p *pstree) Spec() router.Spec {
	return router.Spec{
		Name:          "pstree",
		Args:          "[FILTER]",
		Short:         "Show jobs as a tree",
		Group:         router.GroupLook,
		Rank:          2,
		Target:        router.TargetScope,
		RightSet:      router.Read,
		WantsTerminal: true,
		JSON:          psOutput{},
		Long: `
Show your jobs, groups and tasks as a tree.

` + filterHelp + `

A task has its exec ID, name, age and peak memory. If it is not running, it also
has its state: pending, dead, failed, or unknown (the node is disconnected, and the
task may still be running). If it needs attention, the reason follows. Below the
groups are those that cannot be placed and why.`,
		Examples: []router.Example{
			{Line: "pstree p-team1-"},
			{Line: "pstree --watch p-team1-", Comment: "refresh every 2 seconds"},
		},
		Flags: func(f *pflag.FlagSet) {
			p.watchFlag.bind(f)
			f.BoolVar(&p.json, "json", false, "print JSON, with the fields of ps --json")
			f.BoolVar(&p.noStats, "no-stats", false, "do not query memory")
		},
	}
}

func (p *pstree) Run(ctx context.Context, req *router.Request) error {
	return p.watchFlag.run(ctx, req, func(ctx context.Context, out io.Writer) error { return p.draw(ctx, req, out) })
}

func (p *pstree) draw(ctx context.Context, req *router.Request, out io.Writer) error {
	listed, err := listJobs(ctx, req, false)
	if !canShow(err) {
		return err
	}
	jobs := filterJobs(req, slices.Clone(listed))
	usage, usageErr := fetchUsage(ctx, req, jobs, p.noStats)
	if usageErr != nil {
		return usageErr
	}
	if p.json {
		return cmp.Or(render.JSON(out, psJSON(jobs, usage)), err)
	}
	tree := jobTree(jobs, usage, time.Now())
	if len(tree.Branches) == 0 && err == nil {
		printListingNote(req, out, false, noneRunningText(strings.Join(req.Args, " "), len(jobs), listed))
		return nil
	}
	return cmp.Or(tree.Write(out, req.Console.Style()), err)
}

func jobTree(jobs []backends.Job, usage map[string]backends.Usage, now time.Time) *render.Tree {
	root := &render.Tree{Text: "."}
	for _, job := range jobs {
		var unplaced []string
		if len(job.Unplaced) > 0 {
			unplaced = jobstate.Job(job).Reasons
		}
		if len(job.Allocations) == 0 && len(unplaced) == 0 {
			continue
		}
		branch := root.Add(job.ID)
		groups := map[string]*render.Tree{}
		for _, a := range job.Allocations {
			if groups[a.Group] == nil {
				groups[a.Group] = branch.Add(a.Group)
			}
			for _, task := range a.Tasks {
				memory := "-"
				if u := usage[task.ExecID]; u.MemoryMax != nil {
					memory = humanize.IBytes(*u.MemoryMax)
				}
				groups[a.Group].Add(strings.TrimSpace(fmt.Sprintf("[%s]  %s (%s) %s %s",
					task.ExecID, task.Name, uptimeText(a, task), memory,
					withProblem(phrase.NotRunningState(a, task), a, task, now))))
			}
			if len(a.Tasks) == 0 { // the tasks have no names until the client agent has started the allocation
				groups[a.Group].Add(fmt.Sprintf("allocation %s (%s) %s", phrase.ShortID(a.ID), humanize.Time(a.Modified),
					withProblem(a.Status, a, backends.Task{}, now)))
			}
		}
		for _, reason := range unplaced {
			branch.Add(reason)
		}
	}
	return root
}

// withProblem appends the reasons to the state of a task that needs attention. word is "" if the task is running.
func withProblem(word string, a backends.Allocation, t backends.Task, now time.Time) string {
	state := jobstate.Task(a, t, nil, now)
	if !state.Problem {
		return word
	}
	reason := strings.TrimPrefix(state.Reason(), word+", ")
	if word == "" || reason == "" || reason == word {
		return cmp.Or(reason, word)
	}
	return word + ": " + reason
}
