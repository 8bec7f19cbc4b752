package commands

import (
	"context"

	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(raw) }) }

type raw struct{}

func (raw) Spec() router.Spec {
	return router.Spec{
		Name:          "raw",
		Args:          "TIER ARG...",
		Short:         "Run the nomad CLI",
		Group:         router.GroupAccess,
		Rank:          4,
		Target:        router.TargetScope,
		RightSet:      router.Admin,
		WantsTerminal: true,
		RunsProgram:   true,
		Redact:        router.RedactRaw,
		Long: `
Run the nomad CLI against a tier, with the tier's token. raw is not restricted to
your prefixes: a permitted command can do everything that the token can.

TIER is the name of a tier. "all" (or "alles") is the tier of the job in ARG, and
not every tier.
Requests go to the address of the tier only, and redirects are not followed.

The gateway refuses commands that could reach its host, another cluster or the token.
It also refuses commands that change access rights, servers or keys of the cluster,
and flags for addresses, tokens and certificates. Files such as job definitions are
read from stdin, and jobs must be JSON (-json -).

The exit code is the CLI's, or 125 if the CLI was not run.`,
		Examples: []router.Example{
			{Line: "raw production node status"},
			{Line: "raw all job status p-team1-web", Comment: "in the tier of the job"},
			{Line: "raw production job run -json -", Comment: "the job comes from stdin"},
		},
	}
}

func (raw) Run(ctx context.Context, req *router.Request) error {
	code, err := req.Access.Raw.Run(ctx, req.Console, req.Selection, req.Args[0], req.Args[1:])
	if err != nil {
		return err
	}
	return router.ProgramExit(code)
}
