package router

import (
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// Usage returns the usage line: name, flags and arguments.
func (s Spec) Usage() string {
	usage := s.Name
	if s.FlagUsages() != "" {
		usage += " [FLAGS]"
	}
	if s.Args != "" {
		usage += " " + s.Args
	}
	return usage
}

// Help returns what --help shows: usage, what the command does, its flags.
func (s Spec) Help() string {
	var b strings.Builder
	b.WriteString("usage: " + s.Usage() + "\n\n" + s.Short + ".\n")
	if s.Long != "" {
		b.WriteString("\n" + strings.TrimSpace(s.Long) + "\n")
	}
	if flags := s.FlagUsages(); flags != "" {
		b.WriteString("\nflags:\n" + flags)
	}
	return b.String()
}

// FlagUsages returns a line for each flag, by name; empty when there are none. --help is not among them.
func (s Spec) FlagUsages() string {
	// pflag's own lines offer --json[=true|false], which nobody types.
	flags := s.FlagSet(new(Request))
	return strings.ReplaceAll(flags.FlagUsages(), "[=true|false]", "             ")
}

// FlagSet returns the flags of a command line; those that every command has are bound to req.
func (s Spec) FlagSet(req *Request) *pflag.FlagSet {
	flags := s.flagSet()
	s.commonFlags(flags, req)
	return flags
}

// commonFlags binds the flags that every command of a cluster has.
func (s Spec) commonFlags(flags *pflag.FlagSet, req *Request) {
	if s.Target == TargetNone {
		return
	}
	flags.StringVar(&req.Tier, "tier", "", "only this `TIER`")
	if strings.HasPrefix(s.Args, "TIER") { // the command says so, to whoever tries it
		flags.MarkHidden("tier")
	}
	flags.StringVar(&req.Namespace, "namespace", "", "only this `NAMESPACE` of Nomad")
	flags.BoolVar(&req.NoColor, "no-color", req.NoColor, "no colours on a terminal")
}

func (s Spec) flagSet() *pflag.FlagSet {
	flags := pflag.NewFlagSet(s.Name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.SortFlags = true
	flags.SetInterspersed(!s.RunsProgram)
	if s.Flags != nil {
		s.Flags(flags)
	}
	return flags
}
