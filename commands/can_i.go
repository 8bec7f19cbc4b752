package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/internal/escape"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(canI) }) }

type canI struct{ namespace string }

func (c *canI) Spec() router.Spec {
	return router.Spec{
		Name:     "can-i",
		Args:     "COMMAND JOB",
		Short:    "Check a right on a job",
		Group:    router.GroupAccess,
		Rank:     3,
		Target:   router.TargetNone,
		RightSet: router.Public,
		Long: `
Check whether you may use a command on a job, and show the rule that decides it.

COMMAND is a command or another right, such as secrets. JOB is a job ID.
The job need not exist, because no cluster is queried. The exit code is 0 for yes
and 1 for no.`,
		Examples: []router.Example{
			{Line: "can-i restart p-team1-web"},
			{Line: "can-i purge p-team1-web", Comment: "a right that is not a command"},
			{Line: "can-i --namespace dev exec p-team1-web"},
		},
		Flags: func(f *pflag.FlagSet) {
			f.StringVar(&c.namespace, "namespace", "", "`NAME` consider only this Nomad namespace (default any)")
		},
	}
}

func (c *canI) Run(_ context.Context, req *router.Request) error {
	right, job := req.Args[0], req.Args[1]
	rights := router.Rights()
	set, ok := rights[right]
	if !ok {
		if slices.Contains(router.CommandNames(), right) {
			_, err := fmt.Fprintf(req.Console.Stdout, "yes: every user may use %s\n", right)
			return err
		}
		return router.Exit(2, fmt.Errorf("can-i: unknown command or right %s (known: %s)",
			right, strings.Join(slices.Sorted(maps.Keys(rights)), ", ")))
	}
	allowed := false
	for _, ruling := range req.User.Decide(right, job, c.namespace) {
		answer := "no: "
		if ruling.Allowed {
			answer, allowed = "yes, in tier "+ruling.Tier+": ", true
		}
		text := escape.Text(fmt.Sprintf("%s%s (%s is in the set %s)", answer, ruling.Reason, right, set))
		if _, err := fmt.Fprintln(req.Console.Stdout, text); err != nil {
			return err
		}
	}
	if !allowed {
		return router.ProgramExit(1)
	}
	return nil
}
