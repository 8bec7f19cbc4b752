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
	Name     string
	Args     string    // as in a usage line: "[FILTER]" is optional, "ARG..." is repeatable, "JOB|ID" has two forms
	Short    string    // a few words for lists, without a full stop
	Long     string    // the description in --help; if it is empty, --help shows Short
	Examples []Example // command lines that the router accepts
	// Group is the heading in the list of commands, and Rank the position below it. The zero Group is invalid, except
	// for hidden commands.
	Group Group
	Rank  int
	// Target is what the command works on. The zero Target is invalid.
	Target TargetKind
	// RightSet contains the right to use the command. The zero RightSet is invalid.
	RightSet RightSet
	// FlagRights are additional rights that some of the flags need, with their sets. See Request.Require.
	FlagRights map[string]RightSet
	// RunsProgram: the words after the first argument belong to a program, including flags. The exit code is the
	// program's, or 125 for an error of the gateway.
	RunsProgram bool
	// NegativeNumbers: a word such as -1 is an argument, not a flag.
	NegativeNumbers bool
	// NumberFlag is the name of a flag that -5 sets to 5; empty: none.
	NumberFlag string
	// FindsSaved: the command also finds stopped jobs that Nomad has deleted and the gateway has saved.
	FindsSaved bool
	// WantsTerminal: a client with a terminal should request one, for input, colors or the width of tables.
	WantsTerminal bool
	// TracksProgram: the command runs a program in a task, with Session.ProgramSession in its environment. If the gateway
	// is killed while the program runs, the next gateway finds the program by that variable and kills it.
	TracksProgram bool
	// PicksInstance: with --any, the command works on one of several running tasks that match, if they are instances of
	// the same task.
	PicksInstance bool
	// CompletesCommands: the command completes the arguments of other commands. It gets Access.ClusterFor.
	CompletesCommands bool
	// Redact returns the arguments with the secrets hidden. It does not change their number. It is nil if MarkSecret
	// marks all flags with secrets.
	Redact func(args []string) []string
	// Hidden: the command is for programs. Help and the docs do not list it.
	Hidden bool
	// Flags binds the command's own fields. It may be nil.
	Flags func(*pflag.FlagSet)
	// JSON is a zero value of the output of --json. The docs are generated from the json and doc tags of its fields.
	JSON any
}

// TargetKind is the kind of target that a command works on. It determines which fields of Request.Target authorize
// sets.
type TargetKind int

// The zero Target is invalid, so that Register notices a missing one.
const (
	_               TargetKind = iota
	TargetNone                 // nothing on a cluster; open to every user
	TargetScope                // everything the user owns
	TargetJob                  // a job, named by the first argument
	TargetTask                 // a task in an allocation
	TargetJobOrTask            // either; Target.Task is nil for a job
	TargetPart                 // a job, JOB/GROUP or JOB/GROUP/TASK (see Part), or one allocation or task
)

var commandTable = map[string]func() Command{}

// Register adds a command to the table. The init function of the command's file calls it. It panics with the
// command's name if the Spec is invalid or the name is already registered.
func Register(create func() Command) {
	spec := create().Spec()
	switch {
	case spec.Name == "":
		panic(fmt.Sprintf("router: %T has no name", create()))
	case commandTable[spec.Name] != nil:
		panic("router: command " + spec.Name + " is registered twice")
	case spec.Target == 0:
		panic("router: command " + spec.Name + " has no Target")
	case !spec.Hidden && !slices.Contains(Groups, spec.Group):
		panic("router: command " + spec.Name + " has no Group")
	case spec.Target >= TargetJob && (spec.Args == "" || spec.Args[0] == '['):
		panic("router: command " + spec.Name + " needs an argument for its job or task")
	}
	spec.checkRights()
	commandTable[spec.Name] = create
}

// Specs returns the Spec of every registered command, including hidden ones, sorted by name.
func Specs() []Spec {
	specs := make([]Spec, 0, len(commandTable))
	for _, create := range commandTable {
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

// specNames returns the names of commands.
func specNames(specs []Spec) []string {
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name
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
