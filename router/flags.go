package router

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/internal/suggest"
)

// FlagSet returns the flags of the command. The common ones are bound to req.
func (s Spec) FlagSet(req *Request) *pflag.FlagSet {
	flags := s.ownFlags()
	s.commonFlags(flags, req)
	return flags
}

// commonFlags binds the flags of every command that queries clusters.
func (s Spec) commonFlags(flags *pflag.FlagSet, req *Request) {
	if s.Target == TargetNone {
		return
	}
	if s.PicksInstance {
		flags.BoolVar(&req.Any, "any", false, "pick one if all matches are instances of the same task")
	}
	namespaceUsage := "`NAME` only this Nomad namespace"
	flags.StringVar(&req.Selection.Tier, "tier", "", "`TIER` only this tier")
	if strings.HasPrefix(s.Args, "TIER") { // raw rejects --tier with a message of its own
		flags.MarkHidden("tier")
		namespaceUsage = "`NAME` sets NOMAD_NAMESPACE"
	}
	flags.StringVar(&req.Selection.Namespace, "namespace", "", namespaceUsage)
	noColor := new(bool)
	if req.Console != nil {
		noColor = &req.Console.NoColor
	}
	flags.BoolVar(noColor, "no-color", *noColor, "no colors on a terminal")
}

// ownFlags returns the command's own flags, without the common ones.
func (s Spec) ownFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet(s.Name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.SortFlags = false
	flags.SetInterspersed(!s.RunsProgram)
	if s.Flags != nil {
		s.Flags(flags)
	}
	return flags
}

// Parse parses the words after the command's name and returns the arguments. It binds the common flags to req.
func (s Spec) Parse(req *Request, words []string) (args []string, err error) {
	flags := s.FlagSet(req)
	masked, restore := s.maskNegatives(words, flags)
	if err := flags.Parse(joinWatchValue(s.expandNumber(masked, flags), flags)); err != nil {
		return nil, suggestFlag(err, flags)
	}
	args = restore(flags.Args())
	err = s.checkArgs(args)
	if _, maxArgs := s.arity(); err != nil && maxArgs >= 0 && len(args) > maxArgs {
		if name := flagBefore(words, args, flags); name != "" {
			err = fmt.Errorf("%w (if the value of %s has spaces, quote it twice: %s \"'a b'\")", err, name, name)
		}
	}
	return args, err
}

// flagBefore returns the flag whose value comes directly before an argument, or "". The local shell may have removed
// the quotes of a value with spaces. The argument is then the rest of that value.
func flagBefore(words, args []string, flags *pflag.FlagSet) string {
	for i, word := range words {
		name, _, joined := strings.Cut(word, "=")
		next := i + 2
		if joined {
			next = i + 1
		}
		if word != "--" && next < len(words) && takesValue(name, flags) && slices.Contains(args, words[next]) {
			return name
		}
	}
	return ""
}

// expandNumber turns -5 into a value of s.NumberFlag. Values of other flags are unchanged.
func (s Spec) expandNumber(words []string, flags *pflag.FlagSet) []string {
	if s.NumberFlag == "" {
		return words
	}
	expanded := slices.Clone(words)
	for i, word := range words {
		if word == "--" {
			break
		}
		if digits, ok := strings.CutPrefix(word, "-"); ok && isDigits(digits) && (i == 0 || !takesValue(words[i-1], flags)) {
			expanded[i] = "--" + s.NumberFlag + "=" + digits
		}
	}
	return expanded
}

func isDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// maskNegatives hides the minus of arguments such as -1 from pflag, which would parse them as flags, and returns a
// function that restores it. Values of flags are unchanged.
func (s Spec) maskNegatives(words []string, flags *pflag.FlagSet) (hidden []string, restore func([]string) []string) {
	restore = func(args []string) []string { return args }
	if !s.NegativeNumbers {
		return words, restore
	}
	hidden = slices.Clone(words)
	for i, word := range words {
		if word == "--" {
			break
		}
		if digits, ok := strings.CutPrefix(word, "-"); ok && isDigits(digits) &&
			(i == 0 || !takesValue(words[i-1], flags)) {
			hidden[i] = maskedMinus + digits
		}
	}
	return hidden, func(args []string) []string {
		restored := slices.Clone(args)
		for i, arg := range restored {
			if digits, ok := strings.CutPrefix(arg, maskedMinus); ok {
				restored[i] = "-" + digits
			}
		}
		return restored
	}
}

// maskedMinus cannot occur in a word: a command line contains no NUL.
const maskedMinus = "\x00"

// takesValue reports whether a word is a flag whose value is the next word.
func takesValue(word string, flags *pflag.FlagSet) bool {
	if name, ok := strings.CutPrefix(word, "--"); ok {
		f := flags.Lookup(name)
		return f != nil && f.NoOptDefVal == ""
	}
	if !strings.HasPrefix(word, "-") || len(word) < 2 {
		return false
	}
	f := flags.ShorthandLookup(word[len(word)-1:])
	return f != nil && f.NoOptDefVal == ""
}

// checkArgs checks the number of arguments.
func (s Spec) checkArgs(args []string) error {
	minArgs, maxArgs := s.arity()
	switch {
	case len(args) < minArgs:
		return errors.New("an argument is missing")
	case maxArgs >= 0 && len(args) > maxArgs && s.RunsProgram && strings.HasPrefix(args[maxArgs], "-"):
		return fmt.Errorf("put flags before the task: %q", args[maxArgs])
	case maxArgs >= 0 && len(args) > maxArgs:
		return fmt.Errorf("unexpected argument %q", args[maxArgs])
	}
	return nil
}

// suggestFlag adds the closest flag to the error for an unknown one.
func suggestFlag(err error, flags *pflag.FlagSet) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if best := suggest.Closest(unknown.GetSpecifiedName(), names); best != "" {
		return fmt.Errorf("%w: did you mean --%s?", err, best)
	}
	return err
}

// joinWatchValue turns --watch 5 into --watch=5, the only form that pflag accepts for a flag with an optional
// value. It does so only if the next word is a number or a duration.
func joinWatchValue(words []string, flags *pflag.FlagSet) []string {
	watch := flags.Lookup("watch")
	if watch == nil {
		return words
	}
	var joined []string
	for i := 0; i < len(words); i++ {
		word := words[i]
		if (word == "--watch" || word == "-w") && i+1 < len(words) {
			if IsWatchValue(words[i+1]) {
				word = "--watch=" + words[i+1]
				i++
			}
		}
		joined = append(joined, word)
	}
	return joined
}

// IsWatchValue reports whether the word after --watch is its value: a number or a duration.
func IsWatchValue(word string) bool {
	return word != "" && '0' <= word[0] && word[0] <= '9' && strings.Trim(word, "0123456789.hms") == ""
}
