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
		Name:   "inspect",
		Args:   "JOB",
		Short:  "Show a job as Nomad stores it, in JSON",
		Target: router.TargetJob,
		Set:    router.Read,
		Long: `
It is the form that nomad job inspect prints and nomad job run -json takes: {"Job": ...}, with every field that Nomad
sent. The values of the job's environment and templates are in it as they are.`,
		Flags: func(f *pflag.FlagSet) {
			f.Bool("json", true, "as it is anyway")
			i.flags = f
			f.Uint64Var(&i.version, "version", 0, "that `VERSION` of the job, instead of the current one")
		},
	}
}

func (i *inspect) Run(ctx context.Context, req *router.Request) error {
	done := req.Progress("waiting for the cluster")
	defer done()
	var version *uint64
	if i.flags.Changed("version") {
		version = &i.version
	}
	raw, err := req.Cluster.Definition(ctx, req.Job, version)
	if errors.Is(err, backends.ErrNotFound) {
		return fmt.Errorf("no job %s: %w", req.Job.ID, backends.ErrNotFound)
	}
	if err != nil {
		return err
	}
	done()
	return render.JSON(req.Stdout, struct{ Job json.RawMessage }{raw})
}
