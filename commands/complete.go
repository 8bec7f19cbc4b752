package commands

import (
	"context"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/completion"
	"nomadctld/internal/escape"
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
		if seen[c.Word] || !strings.HasPrefix(c.Word, last) || !shellSafe.MatchString(c.Word) ||
			c.Word[0] == '-' && last == "" {
			continue
		}
		seen[c.Word] = true
		b.WriteString(prefix + c.Word + "\t" + escape.Text(c.Description) + "\n")
	}
	_, err := io.WriteString(req.Console.Stdout, b.String())
	return err
}

// shellSafe matches words that need no quotes in any shell. It also matches words with an index such as web[1]: the
// completion scripts quote the brackets, unless the shell leaves a pattern without a match unchanged. Other words are
// not offered, because job IDs may contain any character. A word that starts with - is offered only as a flag.
var shellSafe = regexp.MustCompile(`^[\pL\pN_./-][\pL\pN_./@%+,:=-]*(\[\d+\][\pL\pN_./@%+,:=-]*)?$`)

// candidates returns the possible completions of the last word. last is the part of it to complete, and prefix is the
// part before that, such as --tier= in --tier=pro.
func candidates(ctx context.Context, req *router.Request) (prefix, last string, all []completion.Candidate) {
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

func commandNames(specs []router.Spec) (all []completion.Candidate) {
	for _, spec := range specs {
		all = append(all, completion.Candidate{Word: spec.Name, Description: spec.Short})
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
		case flag.Name == "watch" && i+1 < len(words) && router.IsWatchValue(words[i+1]):
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

func (p *partialCommand) flagNames() (all []completion.Candidate) {
	p.flags.VisitAll(func(f *pflag.Flag) {
		_, about := router.FlagUsage(f)
		if f.Hidden {
			return
		}
		all = append(all, completion.Candidate{Word: "--" + f.Name, Description: about})
		if f.Shorthand != "" {
			all = append(all, completion.Candidate{Word: "-" + f.Shorthand, Description: about})
		}
	})
	return all
}

// flagValues returns the possible values of a flag.
func (p *partialCommand) flagValues(ctx context.Context, req *router.Request,
	flag *pflag.Flag,
) (all []completion.Candidate) {
	switch flag.Name {
	case "tier":
		return tiersOf(req, p.command())
	case "namespace":
		for _, job := range p.jobs(ctx, req, backends.Selection{Tier: p.request.Selection.Tier}) {
			all = append(all, completion.Candidate{Word: job.Namespace})
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
func tiersOf(req *router.Request, command string) (all []completion.Candidate) {
	for _, grant := range req.User.Grants() {
		if slices.Contains(grant.Rights, command) {
			for _, tier := range grant.Tiers {
				all = append(all, completion.Candidate{Word: tier})
			}
		}
	}
	return all
}

// accepted returns what a command that works on parts of a job accepts.
func (p *partialCommand) accepted() completion.Accepted {
	isLog := p.spec.RightSet == router.Read
	return completion.Accepted{
		Tasks: isLog || p.spec.Name == "restart", IDs: p.spec.Name != "scale", Finished: isLog,
	}
}

// arguments returns the possible next arguments. The name of the argument in the usage line decides which.
func (p *partialCommand) arguments(ctx context.Context, req *router.Request, last string) (all []completion.Candidate) {
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
			return completion.Tasks(jobs(), last, p.spec.Target == router.TargetJobOrTask)
		case router.TargetPart:
			return completion.Parts(jobs(), last, p.accepted())
		}
	}
	switch strings.Trim(names[len(p.args)], "[].") {
	case "COMMAND":
		return commandNames(req.AllowedCommands())
	case "TIER":
		return tiersOf(req, p.spec.Name)
	case "SIGNAL":
		for _, name := range backends.TaskSignals {
			all = append(all,
				completion.Candidate{Word: strings.TrimPrefix(name, "SIG")}, completion.Candidate{Word: name})
		}
	case "FILTER", "JOB":
		return completion.Jobs(slices.DeleteFunc(jobs(), func(j backends.Job) bool { return !p.accepts(j) }))
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
