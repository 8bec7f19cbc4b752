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
		Name:   "can-i",
		Args:   "COMMAND JOB",
		Short:  "Tell whether you may use a command on a job, and by which rule",
		Target: router.TargetNone,
		Set:    router.Public,
		Long: `
COMMAND is a command or another right, such as purge. JOB is the name of a job, which need not exist: no cluster is asked.
The exit code is 0 for yes and 1 for no.`,
		Flags: func(f *pflag.FlagSet) {
			f.StringVar(&c.namespace, "namespace", "", "in this `NAMESPACE`; without it, in any")
		},
	}
}

func (c *canI) Run(_ context.Context, req *router.Request) error {
	right, job := req.Args[0], req.Args[1]
	rights := router.Rights()
	set, ok := rights[right]
	if !ok {
		if slices.Contains(router.CommandNames(), right) {
			_, err := fmt.Fprintf(req.Stdout, "yes: everybody may use %s\n", right)
			return err
		}
		return router.Exit(2, fmt.Errorf("can-i: unknown command or right %s (known: %s)",
			right, strings.Join(slices.Sorted(maps.Keys(rights)), ", ")))
	}
	allowed := false
	for _, ruling := range req.Decide(right, job, c.namespace) {
		answer := "no: "
		if ruling.Allowed {
			answer, allowed = "yes, in tier "+ruling.Tier+": ", true
		}
		text := escape.Text(fmt.Sprintf("%s%s (%s is in %s)", answer, ruling.Reason, right, set))
		if _, err := fmt.Fprintln(req.Stdout, text); err != nil {
			return err
		}
	}
	if !allowed {
		return router.ProgramExit(1)
	}
	return nil
}
