package commands

import (
	"context"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(complete) }) }

type complete struct{}

func (complete) Spec() router.Spec {
	return router.Spec{
		Name:              "complete",
		Args:              "[WORD...]",
		Short:             "Complete a command line",
		Target:            router.TargetNone,
		RightSet:          router.Public,
		Hidden:            true,
		CompletesCommands: true,
		Long: `
Print the candidates for the last word of a command line, for the completion of
nomadctl. The words follow after --, and the last one may be empty. Each line is a
candidate, a tab and a description. If there is no candidate, or an error,
nothing is printed.`,
		Examples: []router.Example{{Line: "complete -- ps --ti"}},
	}
}

// completionTimeout is the time for the clusters to respond. The user who presses Tab waits for it.
const completionTimeout = 1500 * time.Millisecond

func (complete) Run(ctx context.Context, req *router.Request) error {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	var b strings.Builder
	seen := map[string]bool{}
	prefix, last, all := candidates(ctx, req)
	for _, c := range all {
		if seen[c.word] || !strings.HasPrefix(c.word, last) || !shellSafe.MatchString(c.word) ||
			c.word[0] == '-' && last == "" {
			continue
		}
		seen[c.word] = true
		b.WriteString(prefix + c.word + "\t" + escape.Text(c.description) + "\n")
	}
	_, err := io.WriteString(req.Console.Stdout, b.String())
	return err
}

// shellSafe matches words that need no quotes in any shell. Other words are not offered, because job IDs may contain
// any character. A word that starts with - is offered only as a flag.
var shellSafe = regexp.MustCompile(`^[\pL\pN_./-][\pL\pN_./@%+,:=-]*$`)

type candidate struct{ word, description string }

// candidates returns the possible completions of the last word. last is the part of it to complete, and prefix is the
// part before that, such as --tier= in --tier=pro.
func candidates(ctx context.Context, req *router.Request) (prefix, last string, all []candidate) {
	allowed := req.AllowedCommands()
	if len(req.Args) < 2 {
		return "", strings.Join(req.Args, ""), commandNames(allowed)
	}
	i := slices.IndexFunc(allowed, func(s router.Spec) bool { return s.Name == req.Args[0] })
	if i < 0 {
		return "", "", nil
	}
	p := newPartialCommand(allowed[i])
	words := req.Args[1:]
	last = words[len(words)-1]
	p.parse(words[:len(words)-1])
	switch {
	case p.pendingFlag != nil:
		return "", last, p.flagValues(ctx, req, p.pendingFlag)
	case !p.flagsEnded && strings.HasPrefix(last, "--") && strings.Contains(last, "="):
		flag, value, _ := p.findFlag(last)
		if flag == nil {
			return "", "", nil
		}
		return strings.TrimSuffix(last, value), value, p.flagValues(ctx, req, flag)
	case !p.flagsEnded && strings.HasPrefix(last, "-"):
		return "", last, p.flagNames()
	}
	return "", last, p.arguments(ctx, req, last)
}

func commandNames(specs []router.Spec) (all []candidate) {
	for _, spec := range specs {
		all = append(all, candidate{spec.Name, spec.Short})
	}
	return all
}

// partialCommand is a command line that is being typed, without its last word.
type partialCommand struct {
	spec        router.Spec
	flags       *pflag.FlagSet
	args        []string
	pendingFlag *pflag.Flag    // the next word is its value
	flagsEnded  bool           // the next word is not a flag
	request     router.Request // holds --tier and --namespace
}

func newPartialCommand(spec router.Spec) *partialCommand {
	p := &partialCommand{spec: spec}
	p.flags = spec.FlagSet(&p.request)
	p.flags.Bool("help", false, "explain the command")
	return p
}

// parse parses the complete words after the command's name as the router does.
func (p *partialCommand) parse(words []string) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case p.flagsEnded || word == "-" || !strings.HasPrefix(word, "-"):
			p.args = append(p.args, word)
			p.flagsEnded = p.flagsEnded || p.spec.RunsProgram // the rest is the program's
			continue
		case word == "--":
			p.flagsEnded = true
			continue
		}
		flag, value, hasValue := p.findFlag(word)
		switch {
		case flag == nil:
		case hasValue:
			flag.Value.Set(value)
		case flag.NoOptDefVal == "" && i+1 == len(words):
			p.pendingFlag = flag
		case flag.NoOptDefVal == "":
			i++
			flag.Value.Set(words[i])
		case flag.Name == "watch" && i+1 < len(words) && words[i+1] != "" && strings.Trim(words[i+1], "0123456789.") == "":
			i++
		}
	}
}

// findFlag returns the flag that a word sets, or nil. hasValue reports whether the word also contains the value.
func (p *partialCommand) findFlag(word string) (flag *pflag.Flag, value string, hasValue bool) {
	if name, long := strings.CutPrefix(word, "--"); long {
		name, value, hasValue = strings.Cut(name, "=")
		return p.flags.Lookup(name), value, hasValue
	}
	for i := 1; i < len(word) && word[i] < 0x80; i++ { // short flags may be combined
		flag = p.flags.ShorthandLookup(word[i : i+1])
		if flag == nil {
			return nil, "", false
		}
		if flag.NoOptDefVal == "" {
			value = strings.TrimPrefix(word[i+1:], "=")
			return flag, value, value != ""
		}
	}
	return flag, "", false
}

func (p *partialCommand) flagNames() (all []candidate) {
	p.flags.VisitAll(func(f *pflag.Flag) {
		_, about := router.FlagUsage(f)
		if f.Hidden {
			return
		}
		all = append(all, candidate{"--" + f.Name, about})
		if f.Shorthand != "" {
			all = append(all, candidate{"-" + f.Shorthand, about})
		}
	})
	return all
}

// flagValues returns the possible values of a flag.
func (p *partialCommand) flagValues(ctx context.Context, req *router.Request, flag *pflag.Flag) (all []candidate) {
	switch flag.Name {
	case "tier":
		return tiersOf(req, p.command())
	case "namespace":
		for _, job := range p.jobs(ctx, req, backends.Selection{Tier: p.request.Selection.Tier}) {
			all = append(all, candidate{job.Namespace, ""})
		}
	}
	return all
}

// command returns the command whose right decides which jobs are offered.
func (p *partialCommand) command() string {
	if p.spec.Target == router.TargetNone && len(p.args) > 0 { // can-i COMMAND JOB
		return p.args[0]
	}
	return p.spec.Name
}

// tiersOf returns the tiers in which the user may run the command on some job.
func tiersOf(req *router.Request, command string) (all []candidate) {
	for _, grant := range req.User.Grants() {
		if slices.Contains(grant.Rights, command) {
			for _, tier := range grant.Tiers {
				all = append(all, candidate{tier, ""})
			}
		}
	}
	return all
}

// arguments returns the possible next arguments. The name of the argument in the usage line decides which.
func (p *partialCommand) arguments(ctx context.Context, req *router.Request, last string) (all []candidate) {
	names := strings.Fields(p.spec.Args)
	if len(p.args) >= len(names) || p.spec.RunsProgram && len(p.args) > 0 {
		return nil
	}
	jobs := func() []backends.Job {
		return p.jobs(ctx, req, backends.Selection{Tier: p.request.Selection.Tier, Namespace: p.request.Selection.Namespace})
	}
	if len(p.args) == 0 {
		switch p.spec.Target {
		case router.TargetTask, router.TargetJobOrTask:
			return p.selectors(jobs(), last)
		case router.TargetPart:
			return p.parts(jobs(), last)
		}
	}
	switch strings.Trim(names[len(p.args)], "[].") {
	case "COMMAND":
		return commandNames(req.AllowedCommands())
	case "TIER":
		return tiersOf(req, p.spec.Name)
	case "SIGNAL":
		for _, name := range backends.TaskSignals {
			all = append(all, candidate{strings.TrimPrefix(name, "SIG"), ""}, candidate{name, ""})
		}
	case "FILTER", "JOB":
		return jobNames(slices.DeleteFunc(jobs(), func(j backends.Job) bool { return !p.accepts(j) }))
	}
	return all
}

// jobs returns the jobs on which the user may run the command. It returns none if the clusters do not respond in time.
func (p *partialCommand) jobs(ctx context.Context, req *router.Request, selection backends.Selection) []backends.Job {
	cluster := req.Access.ClusterFor(p.command())
	if cluster == nil {
		return nil
	}
	jobs, _ := cluster.Jobs(ctx, selection)
	return jobs
}

// accepts reports whether the command makes sense for a job, as far as the job list shows that.
func (p *partialCommand) accepts(j backends.Job) bool {
	switch p.spec.Name {
	case "dispatch":
		return j.Parameterized && j.ID == j.Root
	case "run":
		return j.Periodic && j.ID == j.Root
	case "start":
		return j.Stopped
	}
	return true
}

func jobNames(jobs []backends.Job) (all []candidate) {
	for _, job := range jobs {
		all = append(all, candidate{job.ID, job.Type + " job, " + job.Status + ", " + job.Tier})
	}
	return all
}

// selectors returns the selectors of tasks and, if the command accepts a job, of jobs. Of several selectors for the
// same task it offers the shortest one, and a longer one only if the user has already typed its start.
func (p *partialCommand) selectors(jobs []backends.Job, last string) (all []candidate) {
	type fit struct{ rank, tasks int } // the best rank, and the number of tasks that have it
	best := map[string]fit{}           // by JOB, JOB/GROUP and JOB/GROUP/TASK
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		rank, matches := a.Rank(task)
		if !matches {
			return
		}
		for _, name := range selectorsOf(a, task) {
			switch f, known := best[name]; {
			case !known || rank < f.rank:
				best[name] = fit{rank, 1}
			case rank == f.rank:
				best[name] = fit{rank, f.tasks + 1}
			}
		}
	})
	if p.spec.Target == router.TargetJobOrTask {
		all = jobNames(jobs)
	}
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		rank, matches := a.Rank(task)
		// Offer the shortest unique selector. For other targets, the job is already offered.
		wanted := p.spec.Target == router.TargetTask
		for i, name := range selectorsOf(a, task) {
			typed := i > 0 && strings.HasPrefix(last, selectorsOf(a, task)[i-1]+"/")
			if matches && best[name] == (fit{rank, 1}) && (wanted || typed) {
				all = append(all, candidate{name, task.ExecID + " on " + a.Node})
				wanted = false
			}
		}
	})
	return append(all, execIDsOf(jobs, p.spec.Target == router.TargetTask)...)
}

func selectorsOf(a backends.Allocation, task backends.Task) [3]string {
	group := a.JobID + "/" + a.Group
	return [3]string{a.JobID, group, group + "/" + task.Name}
}

func eachTask(jobs []backends.Job, f func(backends.Allocation, backends.Task)) {
	for _, job := range jobs {
		for _, a := range job.Allocations {
			for _, task := range a.Tasks {
				f(a, task)
			}
		}
	}
}

// execIDsOf returns the exec IDs of all tasks, or only of tasks that are or may be running. The description of a task
// that is not running starts with its state.
func execIDsOf(jobs []backends.Job, running bool) (all []candidate) {
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		about := a.JobID + "/" + task.Name + " on " + a.Node
		if state := phrase.NotRunningState(a, task); state != "" {
			about = state + ": " + about
		}
		if _, matches := a.Rank(task); matches || !running {
			all = append(all, candidate{task.ExecID, about})
		}
	})
	return all
}

// parts returns jobs, their groups and, if the command accepts them, tasks and exec IDs. It offers the groups of a job
// after JOB/, or as soon as only one job matches and has several groups.
func (p *partialCommand) parts(jobs []backends.Job, last string) []candidate {
	all := jobNames(jobs)
	groups := map[string]map[string]bool{} // by job, of the jobs that match
	for _, job := range jobs {
		if !strings.HasPrefix(job.ID, last) && !strings.HasPrefix(last, job.ID+"/") {
			continue
		}
		if groups[job.ID] == nil {
			groups[job.ID] = map[string]bool{}
		}
		for _, a := range job.Allocations {
			groups[job.ID][a.Group] = true
		}
		for _, u := range job.Unplaced {
			groups[job.ID][u.Group] = true
		}
	}
	for job, names := range groups {
		if strings.HasPrefix(last, job+"/") || len(groups) == 1 && len(names) > 1 {
			for _, group := range slices.Sorted(maps.Keys(names)) {
				all = append(all, candidate{job + "/" + group, "group of " + job})
			}
		}
	}
	if p.spec.Name == "restart" {
		eachTask(jobs, func(a backends.Allocation, task backends.Task) {
			if strings.HasPrefix(last, a.JobID+"/"+a.Group+"/") {
				all = append(all, candidate{selectorsOf(a, task)[2], "task of " + a.Group})
			}
		})
	}
	if p.spec.Name != "scale" { // scale accepts no IDs
		all = append(all, execIDsOf(jobs, true)...)
	}
	return all
}
