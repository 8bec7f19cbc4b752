package router

import (
	"fmt"
	"maps"
	"slices"
)

// RightSet is a class of rights, by which a group of the configuration can grant them together.
type RightSet string

// The sets. The zero Set is invalid, so that no command can forget to say. What is Public needs no grant; what is of Admin
// is granted only by name or as a set.
const (
	Public  RightSet = "public"
	Read    RightSet = "@read"    // look
	Enter   RightSet = "@enter"   // run programs in tasks
	Operate RightSet = "@operate" // stop, start and change
	Admin   RightSet = "@admin"   // beyond one's own jobs, or beyond repair
)

// RightSets are those that a configuration can name, with what they are for.
var RightSets = []struct {
	Set   RightSet
	About string
}{
	{Read, "look at jobs, their logs and definitions"},
	{Enter, "run programs in tasks, and see their containers"},
	{Operate, "stop, start, restart and change what runs"},
	{Admin, "go beyond one's own jobs, or beyond repair; granted only when it is named"},
}

// Rights returns every right that a group can grant, with its set: the commands that need one, and what their flags need.
func Rights() map[string]RightSet {
	rights := map[string]RightSet{}
	for _, spec := range Specs() {
		if spec.Set != Public {
			rights[spec.Name] = spec.Set
		}
		maps.Copy(rights, spec.Rights)
	}
	return rights
}

// ExpandGrants returns the rights that granted stands for, sorted: names and sets. nil stands for all but those of Admin.
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

// checkRights panics, naming the command, when its rights are in no set.
func (s Spec) checkRights() {
	valid := func(set RightSet) bool { return set == Read || set == Enter || set == Operate || set == Admin }
	if !valid(s.Set) && s.Set != Public {
		panic("router: command " + s.Name + " is in no Set")
	}
	if (s.Set == Public) != (s.Target == TargetNone) {
		panic("router: command " + s.Name + " reaches a cluster if and only if it is not Public")
	}
	for right, set := range s.Rights {
		if !valid(set) || registry[right] != nil {
			panic(fmt.Sprintf("router: the right %s of command %s is in no Set, or a command has its name", right, s.Name))
		}
	}
}
