package router

import (
	"fmt"
	"slices"
)

// nonMutating returns the commands that only read or run a program that the user names. Only these may be suggested
// for an unknown command.
func nonMutating(specs []Spec) []Spec {
	return slices.DeleteFunc(slices.Clone(specs), func(s Spec) bool {
		return s.RightSet == Operate || s.RightSet == Admin
	})
}

// UnknownCommand returns the error for an unknown command. It names the command to use instead, if the user may use
// that. Otherwise it suggests commands with similar names that change nothing.
func UnknownCommand(name string, allowed []Spec) error {
	hint := hintFor(name, allowed)
	switch {
	case hint != "":
		hint = ": " + hint
	case !hasHint(name):
		hint = didYouMean(name, specNames(nonMutating(allowed)))
	}
	return Exit(2, fmt.Errorf("no command %s%s (see: help)", name, hint))
}

// unknownSubsystem returns the error for an SSH subsystem; the gateway has none.
func unknownSubsystem(name string, allowed []Spec) error {
	if hint := hintFor(name, allowed); hint != "" {
		return fmt.Errorf("no subsystem %s: %s", name, hint)
	}
	return fmt.Errorf("no subsystem %s (see: help)", name)
}
