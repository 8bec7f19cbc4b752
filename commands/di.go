package commands

import (
	"context"

	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(di) }) }

type di struct{}

func (di) Spec() router.Spec {
	return router.Spec{
		Name:     "di",
		Args:     taskArg,
		Short:    "Like docker inspect",
		Group:    router.GroupLogs,
		Rank:     5,
		Target:   router.TargetTask,
		RightSet: router.Enter, // it shows the paths of the node and the environment
		Long: `
Print the container of a task as JSON, like docker inspect.

` + taskHelp + `

Values that look like secrets are shown as ***, unless you have the secrets right.
A stopped container can be inspected by ID as long as Docker keeps it.`,
		Examples: []router.Example{
			{Line: "di 45fed1138a"},
			{Line: "di p-lnx-mattermost", Comment: "if the job has one running task"},
		},
		Flags: acceptJSON,
	}
}

func (di) Run(ctx context.Context, req *router.Request) error {
	done := req.Console.ShowActivity("waiting for the node")
	defer done()
	raw, err := req.Access.Runtime.Inspect(ctx)
	if err != nil {
		return err
	}
	done()
	return render.JSON(req.Console.Stdout, raw)
}
