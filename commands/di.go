package commands

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(di) }) }

type di struct{}

func (di) Spec() router.Spec {
	return router.Spec{
		Name:   "di",
		Args:   "SELECTOR",
		Short:  "Show the container of a task as docker inspect does, in JSON",
		Target: router.TargetTask,
		Set:    router.Enter, // it shows the environment, with what Nomad and Vault put there
		Long: selectorHelp + `

The output includes the container's environment and any secrets in it. A container that has stopped is shown too, as long
as Docker keeps it.`,
		Flags: func(f *pflag.FlagSet) { f.Bool("json", true, "as it is anyway") },
	}
}

func (di) Run(ctx context.Context, req *router.Request) error {
	done := req.Progress("waiting for the node")
	defer done()
	detail, err := req.Cluster.Allocation(ctx, *req.Allocation)
	if err != nil {
		return err
	}
	if driver := detail.Drivers[req.Task.Name]; driver != "docker" {
		return fmt.Errorf("task %s of %s has no Docker container: its driver is %s",
			req.Task.Name, req.Allocation.Name, driver)
	}
	raw, err := req.Runtime.Inspect(ctx)
	if err != nil {
		return err
	}
	done()
	return render.JSON(req.Stdout, raw)
}
