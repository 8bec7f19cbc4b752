package commands

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(ps) }) }

type ps struct {
	watchFlag
	json, quiet, noStats, all bool
}

func (p *ps) Spec() router.Spec {
	return router.Spec{
		Name:          "ps",
		Args:          "[FILTER]",
		Short:         "List jobs and tasks",
		Group:         router.GroupLook,
		Rank:          1,
		Target:        router.TargetScope,
		RightSet:      router.Read,
		WantsTerminal: true,
		JSON:          psOutput{},
		Long: `
List your jobs and their tasks. --all adds complete and lost allocations. "batch" lists
periodic and parameterized jobs.

` + filterHelp + `

Each job has a line with the state of its latest deployment (OK or FAIL) and the
reason if it cannot be placed. Each task has a line with its exec ID, CPU in MHz,
memory and peak memory. "-" is an unknown value. Uptime is the time since a
running task started. For other tasks, it is when they ended or when their node was
last seen. Extra shows what happened to the task, oldest first:

  F   the allocation failed         P   the allocation is pending
  T   the task was terminated       O   the task was OOM killed
  NR  the task will not restart     KV  the task was killed because of Vault
  U   the allocation is unhealthy
  lost      the node is down, and Nomad gave up the allocation
  complete  the allocation finished and did not fail
  unknown   the node is disconnected, and the task may still be running`,
		Examples: []router.Example{
			{Line: "ps", Comment: "all your jobs"},
			{Line: "ps mattermost", Comment: "jobs whose IDs contain mattermost"},
			{Line: "ps -a --watch 5 'p-*-web'", Comment: "complete and lost allocations too, every 5 seconds"},
			{Line: "ps -q p-team1-web", Comment: "only exec IDs, for scripts"},
		},
		Flags: func(f *pflag.FlagSet) {
			p.watchFlag.bind(f)
			f.BoolVarP(&p.all, "all", "a", false, "also list complete and lost allocations")
			f.BoolVar(&p.json, "json", false, "print JSON")
			f.BoolVarP(&p.quiet, "quiet", "q", false, "print only exec IDs, one on each line")
			f.BoolVar(&p.noStats, "no-stats", false, "do not query CPU and memory")
		},
	}
}

func (p *ps) Run(ctx context.Context, req *router.Request) error {
	if p.quiet && p.json {
		return router.Exit(2, errors.New("ps: --quiet and --json are mutually exclusive"))
	}
	return p.watchFlag.run(ctx, req, func(ctx context.Context, out io.Writer) error { return p.draw(ctx, req, out) })
}

func (p *ps) draw(ctx context.Context, req *router.Request, out io.Writer) error {
	jobs, err := listJobs(ctx, req, p.all)
	if !canShow(err) {
		return err
	}
	jobs = slices.DeleteFunc(filterJobs(req, jobs), func(j backends.Job) bool {
		return len(j.Allocations) == 0 && len(j.Unplaced) == 0
	})
	if p.quiet {
		_, werr := io.WriteString(out, execIDs(jobs))
		return cmp.Or(werr, err)
	}
	usage, usageErr := fetchUsage(ctx, req, jobs, p.noStats)
	if usageErr != nil {
		return usageErr
	}
	if p.json {
		return cmp.Or(render.JSON(out, psJSON(jobs, usage)), err)
	}
	return cmp.Or(psTable(jobs, usage).Write(out, req.Console.Style()), err)
}

func execIDs(jobs []backends.Job) string {
	var b strings.Builder
	for _, job := range jobs {
		for _, allocation := range job.Allocations {
			for _, task := range allocation.Tasks {
				b.WriteString(task.ExecID + "\n")
			}
		}
	}
	return b.String()
}

func psTable(jobs []backends.Job, usage map[string]backends.Usage) *render.Table {
	table := render.NewTable("Exec ID", "Job/Task", "Node", "Uptime", "CPU", "Mem(max)", "Extra")
	table.DropWhenNarrow(2, 3, 4, 5).ColorCells(psColor)
	where := qualifiers(jobs)
	for i, job := range jobs {
		name := job.ID
		switch job.DeploymentStatus {
		case "successful":
			name += " OK"
		case "failed":
			name += " FAIL"
		}
		table.Row("", name, "", "", "", "", strings.Join(slices.Concat(where[i], placementFailures(job)), "; "))
		for _, a := range job.Allocations {
			for _, task := range a.Tasks {
				cpu, memory := usageText(a, task, usage)
				table.Row(task.ExecID, task.Name, a.Node, uptimeText(a, task), cpu, memory, strings.Join(taskFlags(a, task), ","))
			}
			if len(a.Tasks) == 0 { // the tasks have no names until the client agent has started the allocation
				table.Row("", a.Group, a.Node, humanize.Time(a.Modified), "-", "-",
					strings.Join(taskFlags(a, backends.Task{}), ","))
			}
		}
	}
	return table
}

func psColor(column int, text string) render.Color {
	switch {
	case column == 1 && strings.HasSuffix(text, " OK"):
		return render.Good
	case column == 1 && strings.HasSuffix(text, " FAIL"):
		return render.Bad
	case column == 6 && (strings.HasPrefix(text, "F") || strings.HasPrefix(text, "lost") || strings.Contains(text, "O")):
		return render.Bad
	case column == 6 && text != "complete":
		return render.Warn
	}
	return ""
}
