package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(inspect) }) }

type inspect struct {
	version uint64
	flags   *pflag.FlagSet
}

func (i *inspect) Spec() router.Spec {
	return router.Spec{
		Name:     "inspect",
		Args:     "JOB",
		Short:    "Like nomad job inspect",
		Group:    router.GroupLook,
		Rank:     6,
		Target:   router.TargetJob,
		RightSet: router.Read,
		Long: `
Print a job as JSON, like nomad job inspect: {"Job": ...}, with every field that
Nomad returned. The command nomad job run -json accepts this form.

Values that look like secrets are shown as ***, unless you have the secrets right.
See also: can-i secrets JOB.`,
		Examples: []router.Example{
			{Line: "inspect p-team1-web", Comment: "the current version"},
			{Line: "inspect --version 0 p-team1-web", Comment: "an earlier version (see: history)"},
		},
		Flags: func(f *pflag.FlagSet) {
			acceptJSON(f)
			i.flags = f
			f.Uint64Var(&i.version, "version", 0, "`VERSION` print this version (default the current one)")
		},
	}
}

func (i *inspect) Run(ctx context.Context, req *router.Request) error {
	done := req.Console.ShowActivity("waiting for the cluster")
	defer done()
	var version *uint64
	if i.flags.Changed("version") {
		version = &i.version
	}
	raw, err := req.Access.Cluster.Definition(ctx, req.Target.Job, version)
	if errors.Is(err, backends.ErrNotFound) {
		return fmt.Errorf("job %s: %w", req.Target.Job.ID, backends.ErrNotFound)
	}
	if err != nil {
		return err
	}
	done()
	return render.JSON(req.Console.Stdout, struct{ Job json.RawMessage }{raw})
}
