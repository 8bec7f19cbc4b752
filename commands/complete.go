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
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(complete) }) }

type complete struct{}

func (complete) Spec() router.Spec {
	return router.Spec{
		Name:   "complete",
		Args:   "[WORD...]",
		Short:  "Complete a command line",
		Target: router.TargetNone,
		Set:    router.Public,
		Hidden: true,
		Long: `
Print the candidates for the last word of a command line, for the completion of
nomadctl. The words follow after --, and the last one may be empty. Each line is a
candidate, a tab and a description. If there is no candidate, or an error,
nothing is printed.`,
		Examples: []router.Example{{Line: "complete -- ps --ti"}},
	}
}

// completionTimeout is how long the clusters have: whoever presses Tab waits.
const completionTimeout = 1500 * time.Millisecond

func (complete) Run(ctx context.Context, req *router.Request) error {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	var b strings.Builder
	seen := map[string]bool{}
	prefix, last, all := candidates(ctx, req)
	for _, c := range all {
		if seen[c.word] || !strings.HasPrefix(c.word, last) || !shellSafe.MatchString(c.word) || c.word[0] == '-' && last == "" {
			continue
		}
		seen[c.word] = true
		b.WriteString(prefix + c.word + "\t" + escape.Text(c.description) + "\n")
	}
	_, err := io.WriteString(req.Stdout, b.String())
	return err
}

// shellSafe are words that mean themselves in every shell, unquoted. Others are not offered: job IDs may hold anything. Nor is
// what begins with - where no flag is meant: it would be taken for one.
var shellSafe = regexp.MustCompile(`^[\pL\pN_./-][\pL\pN_./@%+,:=-]*$`)

type candidate struct{ word, description string }

// candidates returns what may stand in the place of last, the end of the last word. prefix is what stands before that:
// --tier= of --tier=pro.
func candidates(ctx context.Context, req *router.Request) (prefix, last string, all []candidate) {
	allowed := req.AllowedCommands()
	if len(req.Args) < 2 {
		return "", strings.Join(req.Args, ""), commandNames(allowed)
	}
	i := slices.IndexFunc(allowed, func(s router.Spec) bool { return s.Name == req.Args[0] })
	if i < 0 {
		return "", "", nil
	}
	t := newPartialCommand(allowed[i])
	words := req.Args[1:]
	last = words[len(words)-1]
	t.parse(words[:len(words)-1])
	switch {
	case t.pendingFlag != nil:
		return "", last, t.flagValues(ctx, req, t.pendingFlag)
	case !t.flagsEnded && strings.HasPrefix(last, "--") && strings.Contains(last, "="):
		flag, value, _ := t.findFlag(last)
		if flag == nil {
			return "", "", nil
		}
		return strings.TrimSuffix(last, value), value, t.flagValues(ctx, req, flag)
	case !t.flagsEnded && strings.HasPrefix(last, "-"):
		return "", last, t.flagNames()
	}
	return "", last, t.arguments(ctx, req, last)
}

func commandNames(specs []router.Spec) (all []candidate) {
	for _, spec := range specs {
		all = append(all, candidate{spec.Name, spec.Short})
	}
	return all
}

// partialCommand is what is whole of a command line that is being typed.
type partialCommand struct {
	spec        router.Spec
	flags       *pflag.FlagSet
	args        []string
	pendingFlag *pflag.Flag    // what comes next is its value
	flagsEnded  bool           // what comes next is no flag
	request     router.Request // its --tier and --namespace
}

func newPartialCommand(spec router.Spec) *partialCommand {
	t := &partialCommand{spec: spec}
	t.flags = spec.FlagSet(&t.request)
	t.flags.Bool("help", false, "explain the command")
	return t
}

// parse takes the whole words behind the command's name, as the router would.
func (t *partialCommand) parse(words []string) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case t.flagsEnded || word == "-" || !strings.HasPrefix(word, "-"):
			t.args = append(t.args, word)
			t.flagsEnded = t.flagsEnded || t.spec.RunsProgram // the rest is the program's
			continue
		case word == "--":
			t.flagsEnded = true
			continue
		}
		flag, value, whole := t.findFlag(word)
		switch {
		case flag == nil:
		case whole:
			flag.Value.Set(value)
		case flag.NoOptDefVal == "" && i+1 == len(words):
			t.pendingFlag = flag
		case flag.NoOptDefVal == "":
			i++
			flag.Value.Set(words[i])
		case flag.Name == "watch" && i+1 < len(words) && words[i+1] != "" && strings.Trim(words[i+1], "0123456789.") == "":
			i++
		}
	}
}

// findFlag returns the flag whose value is in the word, when whole, or follows it; nil where there is no such flag.
func (t *partialCommand) findFlag(word string) (flag *pflag.Flag, value string, whole bool) {
	if name, long := strings.CutPrefix(word, "--"); long {
		name, value, whole = strings.Cut(name, "=")
		return t.flags.Lookup(name), value, whole
	}
	for i := 1; i < len(word) && word[i] < 0x80; i++ { // several letters may stand together
		flag = t.flags.ShorthandLookup(word[i : i+1])
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

func (t *partialCommand) flagNames() (all []candidate) {
	t.flags.VisitAll(func(f *pflag.Flag) {
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

// flagValues returns what a flag may be given.
func (t *partialCommand) flagValues(ctx context.Context, req *router.Request, flag *pflag.Flag) (all []candidate) {
	switch flag.Name {
	case "tier":
		return tiersOf(req, t.command())
	case "namespace":
		for _, job := range t.jobs(ctx, req, backends.Selection{Tier: t.request.Tier}) {
			all = append(all, candidate{job.Namespace, ""})
		}
	}
	return all
}

// command is the one on whose jobs the arguments are.
func (t *partialCommand) command() string {
	if t.spec.Target == router.TargetNone && len(t.args) > 0 { // can-i COMMAND JOB
		return t.args[0]
	}
	return t.spec.Name
}

// tiersOf returns the tiers in which the user may use the command somewhere.
func tiersOf(req *router.Request, command string) (all []candidate) {
	for _, reach := range req.GrantSummaries() {
		if slices.Contains(reach.Rights, command) {
			for _, tier := range reach.Tiers {
				all = append(all, candidate{tier, ""})
			}
		}
	}
	return all
}

// arguments returns what the next argument may be, by its name in the usage line.
func (t *partialCommand) arguments(ctx context.Context, req *router.Request, last string) (all []candidate) {
	names := strings.Fields(t.spec.Args)
	if len(t.args) >= len(names) || t.spec.RunsProgram && len(t.args) > 0 {
		return nil
	}
	jobs := func() []backends.Job {
		return t.jobs(ctx, req, backends.Selection{Tier: t.request.Tier, Namespace: t.request.Namespace})
	}
	if len(t.args) == 0 {
		switch t.spec.Target {
		case router.TargetTask, router.TargetJobOrTask:
			return t.selectors(jobs(), last)
		case router.TargetPart:
			return t.parts(jobs(), last)
		}
	}
	switch strings.Trim(names[len(t.args)], "[].") {
	case "COMMAND":
		return commandNames(req.AllowedCommands())
	case "TIER":
		return tiersOf(req, t.spec.Name)
	case "SIGNAL":
		for _, name := range signals {
			all = append(all, candidate{strings.TrimPrefix(name, "SIG"), ""}, candidate{name, ""})
		}
	case "FILTER", "JOB":
		return jobNames(slices.DeleteFunc(jobs(), func(j backends.Job) bool { return !t.accepts(j) }))
	}
	return all
}

// jobs returns those that the user may use the command on; none if the clusters do not answer in time.
func (t *partialCommand) jobs(ctx context.Context, req *router.Request, selection backends.Selection) []backends.Job {
	cluster := req.ClusterFor(t.command())
	if cluster == nil {
		return nil
	}
	jobs, _ := cluster.Jobs(ctx, selection)
	return jobs
}

// accepts reports whether the command can do something with the job, where that can be seen from afar.
func (t *partialCommand) accepts(j backends.Job) bool {
	switch t.spec.Name {
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

// selectors returns what means a task, or a job where the command takes one. The longer of two names for the same is
// offered to those who have begun to type it.
func (t *partialCommand) selectors(jobs []backends.Job, last string) (all []candidate) {
	type fit struct{ rank, tasks int } // the best rank, and how many tasks have it
	best := map[string]fit{}           // by JOB, JOB/GROUP and JOB/GROUP/TASK
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		rank, named := a.Rank(task)
		if !named {
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
	if t.spec.Target == router.TargetJobOrTask {
		all = jobNames(jobs)
	}
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		rank, named := a.Rank(task)
		wanted := t.spec.Target == router.TargetTask // the shortest that is unique; for others that is the job
		for i, name := range selectorsOf(a, task) {
			begun := i > 0 && strings.HasPrefix(last, selectorsOf(a, task)[i-1]+"/")
			if named && best[name] == (fit{rank, 1}) && (wanted || begun) {
				all = append(all, candidate{name, task.ExecID + " on " + a.Node})
				wanted = false
			}
		}
	})
	return append(all, execIDsOf(jobs, t.spec.Target == router.TargetTask)...)
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

// execIDsOf returns the exec IDs of the tasks, or only of those that run or may still be running. What is said of one that
// does not run begins with its state.
func execIDsOf(jobs []backends.Job, running bool) (all []candidate) {
	eachTask(jobs, func(a backends.Allocation, task backends.Task) {
		about := a.JobID + "/" + task.Name + " on " + a.Node
		if state := notRunningState(a, task); state != "" {
			about = state + ": " + about
		}
		if _, named := a.Rank(task); named || !running {
			all = append(all, candidate{task.ExecID, about})
		}
	})
	return all
}

// parts returns jobs and what is part of them. The groups of a job are offered to those who have typed the job and a slash
// or, where there are several, as soon as no other job fits; so one sees that there are any.
func (t *partialCommand) parts(jobs []backends.Job, last string) []candidate {
	all := jobNames(jobs)
	groups := map[string]map[string]bool{} // by job; of the jobs that fit
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
	if t.spec.Name == "restart" {
		eachTask(jobs, func(a backends.Allocation, task backends.Task) {
			if strings.HasPrefix(last, a.JobID+"/"+a.Group+"/") {
				all = append(all, candidate{selectorsOf(a, task)[2], "task of " + a.Group})
			}
		})
	}
	if t.spec.Name != "scale" { // there an ID means nothing
		all = append(all, execIDsOf(jobs, true)...)
	}
	return all
}
