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
		Short:         "Run the nomad binary against a tier",
		Target:        router.TargetScope,
		Set:           router.Admin,
		WantsTerminal: true,
		RunsProgram:   true,
		Redact:        router.RedactRaw,
		Long: `
TIER is the name of a tier, or all (alles) for the tier in which jobs are named as the one that the command is about. The
gateway adds the token of that tier to the binary's requests: what raw can do is not confined to your prefixes. Requests go to
the tier's own address alone, and redirects are not followed.

Commands that could reach the gateway's host, another cluster or the token are refused, as are flags for addresses,
tokens and certificates. Jobs are read from standard input, in JSON: raw TIER job run -json -.

The exit code is the binary's; 125 says that it was not run.`,
	}
}

func (raw) Run(ctx context.Context, req *router.Request) error {
	code, err := req.RunRaw(ctx, req.Args[0], req.Args[1:])
	if err != nil {
		return err
	}
	return router.ProgramExit(code)
}
