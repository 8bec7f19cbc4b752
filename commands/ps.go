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
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(ps) }) }

type ps struct {
	watchFlag
	json, quiet, noStats, all, problems, wide bool
	sort, format                              string
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
List your jobs and their tasks ("batch" lists schedules). --all adds stopped and
finished jobs, and complete, lost and (on a terminal) replaced allocations.

` + filterHelp + `

The line of a job shows how many of its wanted allocations are running, as in 2/3,
and an active or failed deployment. Other commands accept a task as its exec ID,
JOB/web[1] or JOB/web[1]/TASK. "-" means not available. In a pipe, OK and FAIL
are the latest deployment's state, and Extra has "2/2; 1 problem" for jobs and
letters for tasks. stderr explains the letters.

FORMAT is a list of fields (job,name,state), or text with fields in braces
({{.Job}}/{{.Name}}). json and wide are the same as --json and --wide. Fields:
` + psFieldNames(),
		Examples: []router.Example{
			{Line: "ps --problems mattermost", Comment: "jobs with mattermost in their IDs that need attention"},
			{Line: "ps -a --watch 5 'p-*-web'", Comment: "every job, every 5 seconds"},
			{Line: "ps -o id,job,name,state,reason", Comment: "only these fields"},
			{Line: "ps -q p-team1-web", Comment: "only exec IDs, for scripts"},
		},
		Flags: func(f *pflag.FlagSet) {
			p.watchFlag.bind(f)
			f.BoolVarP(&p.all, "all", "a", false, "list every job, and complete, lost and replaced allocations")
			f.BoolVar(&p.problems, "problems", false, "list only jobs and tasks that need attention")
			f.StringVar(&p.sort, "sort", "", "`KEY` sort by cpu, mem, restarts or age, largest first")
			f.BoolVar(&p.wide, "wide", false, "on a terminal, show all columns and cut nothing")
			f.StringVarP(&p.format, "format", "o", "", "`FORMAT` print a line in this format for each task")
			f.BoolVar(&p.json, "json", false, "print JSON")
			f.BoolVarP(&p.quiet, "quiet", "q", false, "print only exec IDs, one on each line")
			f.BoolVar(&p.noStats, "no-stats", false, "do not query CPU, memory and service checks")
		},
	}
}

func (p *ps) Run(ctx context.Context, req *router.Request) error {
	switch p.format {
	case "json":
		p.json, p.format = true, ""
	case "wide":
		p.wide, p.format = true, ""
	}
	if err := p.checkFlags(); err != nil {
		return router.Exit(2, fmt.Errorf("ps: %w", err))
	}
	return p.watchFlag.run(ctx, req, func(ctx context.Context, out io.Writer) error { return p.draw(ctx, req, out) })
}

func (p *ps) checkFlags() error {
	switch {
	case p.quiet && p.json:
		return errors.New("--quiet and --json are mutually exclusive")
	case p.format != "" && (p.quiet || p.json):
		return errors.New("--format cannot be combined with --quiet or --json")
	case !slices.Contains([]string{"", "cpu", "mem", "restarts", "age"}, p.sort):
		return fmt.Errorf("cannot sort by %s; the keys are cpu, mem, restarts and age", p.sort)
	case p.noStats && (p.sort == "cpu" || p.sort == "mem"):
		return fmt.Errorf("--sort %s needs statistics: omit --no-stats", p.sort)
	case p.format != "":
		_, err := parsePsFormat(p.format)
		return err
	}
	return nil
}

func (p *ps) draw(ctx context.Context, req *router.Request, out io.Writer) error {
	listed, err := listJobs(ctx, req, p.all)
	if !canShow(err) {
		return err
	}
	jobs := filterJobs(req, slices.Clone(listed))
	matching := len(jobs)
	if !p.all {
		jobs = slices.DeleteFunc(jobs, func(j backends.Job) bool { return len(j.Allocations) == 0 && len(j.Unplaced) == 0 })
	}
	terminal := req.Console.Terminal != nil && !p.forScripts()
	var usage map[string]backends.Usage
	var checks map[string][]backends.Check
	unchecked := 0
	if !p.quiet || p.problems || p.sort != "" {
		var checked []backends.Allocation
		if !p.noStats && (terminal || p.json || p.format != "" || p.problems) {
			checked, unchecked = checkedAllocations(jobs)
		}
		var readErr error
		if usage, checks, readErr = fetchUsageAndChecks(ctx, req, jobs, p.noStats, checked); readErr != nil {
			return readErr
		}
	}
	view := newPsView(jobs, usage, checks, time.Now())
	if terminal {
		view.startedFirst()
	}
	if terminal && !p.all {
		view.hideSuperseded()
	}
	if p.problems {
		view.keepProblems()
	}
	view.sort(p.sort)
	if len(view.jobs) == 0 && err == nil {
		p.printEmpty(req, out, listed, matching)
		if terminal {
			return nil
		}
	}
	if unchecked > 0 {
		defer printListingNote(req, out, p.forScripts(), "the service checks of "+phrase.Count(unchecked, "allocation")+
			" were not read; to read them, select fewer jobs with a FILTER")
	}
	switch {
	case p.quiet:
		_, werr := io.WriteString(out, view.execIDs())
		return cmp.Or(werr, err)
	case p.json:
		return cmp.Or(render.JSON(out, view.json()), err)
	case p.format != "":
		return cmp.Or(view.writeFormat(out, p.format, req.Console.Style()), err)
	case terminal:
		return cmp.Or(writePsTerminal(out, view.lines(), req.Console.Style(), p.wide), err)
	}
	werr := view.table().Write(out)
	if werr == nil && !p.Follows() {
		werr = printLegend(req, view)
	}
	return cmp.Or(werr, err)
}

// printEmpty reports that there is nothing to list, with a hint.
func (p *ps) printEmpty(req *router.Request, out io.Writer, listed []backends.Job, matching int) {
	text := noneRunningText(strings.Join(req.Args, " "), matching, listed)
	if p.problems && matching > 0 {
		text = "no problems in " + phrase.Count(matching, "job")
	}
	printListingNote(req, out, p.forScripts(), text)
}

// forScripts reports whether the output is not the usual table.
func (p *ps) forScripts() bool { return p.json || p.quiet || p.format != "" }

// letterMeanings explains the column Extra in a pipe.
var letterMeanings = []struct{ letter, meaning string }{
	{"F", "failed"},
	{"P", "pending"},
	{"T", "terminated"},
	{"O", "OOM killed"},
	{"NR", "will not restart"},
	{"KV", "killed because of Vault"},
	{"U", "unhealthy"},
}

// printLegend explains the letters that occur. It prints to stderr, so that scripts can parse stdout.
func printLegend(req *router.Request, view *psView) error {
	used := map[string]bool{}
	for _, job := range view.jobs {
		for _, t := range job.tasks {
			for _, flag := range t.letters() {
				used[flag] = true
			}
		}
	}
	var all []string
	for _, l := range letterMeanings {
		if used[l.letter] {
			all = append(all, l.letter+" "+l.meaning)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return printNotice(req, "%s", strings.Join(all, ", "))
}
