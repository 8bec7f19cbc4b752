package checkonline

import (
	"fmt"
	"slices"

	"nomadctld/backends/nomad"
)

// Need is what commands need of the gateway's token.
type Need struct {
	Commands string   // the commands that do not work without it
	AnyOf    []string // capabilities; one is sufficient, and the first is the narrowest
	All      bool     // nearly all commands need it
	// Advice is the hint if it is missing, with %s for the capability. Empty: nomadctld-policy.hcl has it.
	Advice string
}

// Needs lists the capabilities in the order of the shipped policies. The test of these policies uses it. If AnyOf
// contains submit-job, submit-job includes the other capability.
var Needs = []Need{
	{Commands: "lists of jobs", AnyOf: []string{"list-jobs"}, All: true},
	{Commands: "reads of jobs", AnyOf: []string{"read-job"}, All: true},
	{Commands: "logs and tail through Nomad", AnyOf: []string{"read-logs", "read-fs"}},
	{Commands: "exec through Nomad", AnyOf: []string{"alloc-exec"}},
	{
		Commands: "exec through Nomad into raw_exec tasks", AnyOf: []string{"alloc-node-exec"},
		Advice: "most gateways should not have %s: a user could read the files and tokens of all jobs on the node",
	},
	{Commands: "restart, signal, and stop of one allocation", AnyOf: []string{"alloc-lifecycle"}},
	{Commands: "scale, and stop of a group", AnyOf: []string{"scale-job", "submit-job"}},
	{Commands: "stop", AnyOf: []string{"deregister-job", "submit-job"}},
	{
		Commands: "stop --purge", AnyOf: []string{"purge-job", "submit-job"},
		Advice: "add %s only if users may delete jobs",
	},
	{Commands: "revert", AnyOf: []string{"revert-job", "submit-job"}},
	{Commands: "restart of failed allocations", AnyOf: []string{"evaluate-job", "submit-job"}},
	{Commands: "promote", AnyOf: []string{"promote-deployment", "submit-job"}},
	{Commands: "fail", AnyOf: []string{"fail-deployment", "submit-job"}},
	{Commands: "pause and resume", AnyOf: []string{"pause-deployment", "submit-job"}},
	{Commands: "run", AnyOf: []string{"dispatch-job", "submit-job"}},
	{Commands: "dispatch", AnyOf: []string{"dispatch-job"}},
	{
		Commands: "start, restart --full and ops --restore", AnyOf: []string{"register-job", "submit-job"},
		Advice: "add %s only if users need these commands: a token with it can run any program on the nodes",
	},
}

// Capability returns the narrowest capability.
func (n Need) Capability() string { return n.AnyOf[0] }

// Coarser returns the capability that Nomad before 1.11.2 has instead, or "" if it has the narrowest one.
func (n Need) Coarser() string { return nomad.CoarserCapability(n.Capability()) }

// in reports whether capabilities include one that is sufficient.
func (n Need) in(capabilities map[string]bool) bool {
	return slices.ContainsFunc(n.AnyOf, func(c string) bool { return capabilities[c] })
}

// missing returns the state and the hint if a token does not have it.
func (n Need) missing() (state, hint string) {
	capability := fmt.Sprintf("the capability %q", n.Capability())
	if older := n.Coarser(); older != "" {
		capability += fmt.Sprintf(" (before Nomad 1.11.2: %q)", older)
	}
	switch {
	case n.All:
		return Error, "nearly all commands need it: add " + capability + " to the policy"
	case n.Advice != "":
		return OK, fmt.Sprintf(n.Advice, capability)
	}
	return Warning, "add " + capability + " if users need it"
}
