// Package router runs the command line of an authenticated user. It owns the command table, the request, and the
// middleware that every request passes in the same order: recoverPanics, auditRequest, authenticate, expandAlias,
// route, interruptOnCtrlC, limitResults, authorize, auditStart. Commands must not reach a cluster except through the
// fields that authorize sets.
package router

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Command implements one command. Each request gets a new value, so flags are plain fields.
type Command interface {
	Spec() Spec
	Run(ctx context.Context, req *Request) error
}

// Spec describes a command to the router, to help and to the generated docs.
type Spec struct {
	Name  string
	Args  string // as in a usage line: "[FILTER]"; brackets mean optional, "..." at the end any number
	Short string // one line without a full stop
	Long  string // more, for --help; may be empty
	// Target is what the command reaches; the zero value is invalid.
	Target Target
	// Set is the set of rights that the command's own is in; the zero value is invalid.
	Set RightSet
	// Rights are further ones, for what some of the flags do: name to set. See Request.may.
	Rights map[string]RightSet
	// RunsProgram says that the command runs a program: what follows its first argument is the program's, flags too, and
	// the exit code is the program's, so that 125 means a failure before it could run.
	RunsProgram bool
	// NegativeNumbers says that a word such as -1 is an argument, not flags.
	NegativeNumbers bool
	// FindsSaved says that the command also finds stopped jobs that Nomad has deleted and the gateway has saved.
	FindsSaved bool
	// WantsTerminal says that a client with a terminal should ask for one: there is something to type, to colour or to fit.
	WantsTerminal bool
	// TracksProgram says that the command runs a program in a task, with Request.ProgramSession in its environment. If the gateway is
	// killed meanwhile, the next one finds the program by that and kills it.
	TracksProgram bool
	// Redact returns the command's words, as many as it gets, with the secrets in them hidden, where Secret cannot say which
	// flags have them. nil: Secret says it.
	Redact func(args []string) []string
	// Hidden commands are for programs: neither help nor the docs list them.
	Hidden bool
	Flags  func(*pflag.FlagSet) // binds the command's own fields; may be nil
	// JSON is a zero value of what --json writes, for the docs: they are made from its fields' json and doc tags.
	JSON any
}

// Target is what a command works on. It determines which fields authorize sets on the request.
type Target int

// The zero Target is invalid, so that Register notices a missing one.
const (
	_               Target = iota
	TargetNone             // nothing on a cluster; open to every user
	TargetScope            // everything the user owns: req.Cluster
	TargetJob              // a job, named by the first argument: req.Job
	TargetTask             // a task: req.Job, req.Allocation and req.Task
	TargetJobOrTask        // either; req.Task is nil for a job
	TargetPart             // a job, JOB/GROUP or JOB/GROUP/TASK (see req.Part), or an allocation or task by its ID
)

var registry = map[string]func() Command{}

// Register adds a command to the table. The init function of the command's file calls it. It panics with the
// command's name if the Spec is invalid or the name is already registered.
func Register(create func() Command) {
	spec := create().Spec()
	switch {
	case spec.Name == "":
		panic(fmt.Sprintf("router: %T has no name", create()))
	case registry[spec.Name] != nil:
		panic("router: command " + spec.Name + " is registered twice")
	case spec.Target == 0:
		panic("router: command " + spec.Name + " has no Target")
	case spec.Target >= TargetJob && !hasAnyPrefix(spec.Args, "JOB", "SELECTOR", "PART"):
		panic("router: the target of command " + spec.Name +
			" is a job or a task, but its first argument is not JOB, PART or SELECTOR")
	}
	spec.checkRights()
	registry[spec.Name] = create
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// Specs returns the Spec of every registered command, including hidden ones, sorted by name.
func Specs() []Spec {
	specs := make([]Spec, 0, len(registry))
	for _, create := range registry {
		specs = append(specs, create().Spec())
	}
	slices.SortFunc(specs, func(a, b Spec) int { return strings.Compare(a.Name, b.Name) })
	return specs
}

// CommandNames returns the name of every registered command, sorted.
func CommandNames() []string {
	var names []string
	for _, spec := range Specs() {
		names = append(names, spec.Name)
	}
	return names
}

// arity returns how many arguments Args allows; maxArgs is -1 if it ends in "...".
func (s Spec) arity() (minArgs, maxArgs int) {
	for _, word := range strings.Fields(s.Args) {
		maxArgs++
		if !strings.HasPrefix(word, "[") {
			minArgs++
		}
	}
	if strings.HasSuffix(strings.TrimRight(s.Args, "]"), "...") {
		maxArgs = -1
	}
	return minArgs, maxArgs
}
