package router

import (
	"fmt"
	"maps"
	"slices"
)

// RightSet is a named set of rights that the configuration can grant together.
type RightSet string

// The sets. The zero value is invalid, so that Register notices a missing one. Public commands need no grant. Rights in
// Admin are granted only by name or with the whole set.
const (
	Public  RightSet = "public"
	Read    RightSet = "@read"    // list and inspect
	Enter   RightSet = "@enter"   // run programs in tasks
	Operate RightSet = "@operate" // stop, start and change jobs
	Admin   RightSet = "@admin"   // irreversible, or not limited to the user's own jobs
)

// RightSets are the sets that the configuration can name, with a description.
var RightSets = []struct {
	Set   RightSet
	About string
}{
	{Read, "list and inspect jobs, their logs and definitions"},
	{Enter, "run programs in tasks and inspect their containers"},
	{Operate, "stop, start, restart and change jobs"},
	{Admin, "make irreversible changes, see secrets, or go beyond the user's own jobs; not granted by default"},
}

// Rights returns every right that a group can grant, with its set. These are the commands that need a right, the
// further rights of their flags, and SecretsRight.
func Rights() map[string]RightSet {
	rights := map[string]RightSet{SecretsRight: Admin}
	for _, spec := range Specs() {
		if spec.RightSet != Public {
			rights[spec.Name] = spec.RightSet
		}
		maps.Copy(rights, spec.FlagRights)
	}
	return rights
}

// ExpandGrants returns the rights that the granted names and sets stand for, sorted. nil stands for all rights
// except those in Admin.
func ExpandGrants(granted []string) []string {
	var names []string
	for right, set := range Rights() {
		if granted == nil && set != Admin || slices.Contains(granted, right) || slices.Contains(granted, string(set)) {
			names = append(names, right)
		}
	}
	slices.Sort(names)
	return names
}

// checkRights panics with the command's name if its rights are invalid.
func (s Spec) checkRights() {
	valid := func(set RightSet) bool { return set == Read || set == Enter || set == Operate || set == Admin }
	if !valid(s.RightSet) && s.RightSet != Public {
		panic("router: command " + s.Name + " is in no RightSet")
	}
	if (s.RightSet == Public) != (s.Target == TargetNone) {
		panic("router: command " + s.Name + " must be Public if and only if its target is TargetNone")
	}
	for right, set := range s.FlagRights {
		if !valid(set) || commandTable[right] != nil {
			panic(fmt.Sprintf("router: the right %s of command %s is in no RightSet or is the name of a command", right, s.Name))
		}
	}
}
