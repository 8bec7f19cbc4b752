package commands

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/monitor"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(promote) }) }

type promote struct{ waitFlags }

func (p *promote) Spec() router.Spec {
	return router.Spec{
		Name:          "promote",
		Args:          "JOB",
		Short:         "Promote canaries",
		Group:         router.GroupDeployments,
		Rank:          2,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long: `
Promote the canaries of a job's active deployment, in all groups, and wait until
the deployment is successful.`,
		Examples: []router.Example{
			{Line: "promote p-team1-api"},
			{Line: "promote --detach p-team1-api", Comment: "do not wait"},
		},
		Flags: func(f *pflag.FlagSet) { p.waitFlags.bind(f) },
	}
}

func (p *promote) Run(ctx context.Context, req *router.Request) error {
	if err := p.waitFlags.check(req); err != nil {
		return err
	}
	d, err := monitor.ActiveDeployment(ctx, req.Access.Cluster, req.Target.Job)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(d.Groups, func(g backends.DeploymentGroup) bool { return g.Canaries > 0 && !g.Promoted }) {
		return fmt.Errorf("deployment %s of %s has no canaries to promote", phrase.ShortID(d.ID), req.Target.Job.ID)
	}
	result, err := req.Access.Writer.PromoteDeployment(ctx, req.Target.Job, d.ID)
	if err != nil {
		return phrase.JobError(req.Target.Job, err)
	}
	if p.detach {
		return p.printEvaluation(req, result)
	}
	if err := p.waitUntilUp(ctx, req, req.Target.Job, "", result); err != nil {
		return err
	}
	return printResult(req, "promoted deployment %s of %s%s", phrase.ShortID(d.ID), req.Target.Job.ID,
		evaluationSuffix(result))
}
