package commands

import (
	"context"

	"nomadctld/internal/monitor"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(pause) }) }

type pause struct{}

func (pause) Spec() router.Spec {
	return router.Spec{
		Name:          "pause",
		Args:          "JOB",
		Short:         "Pause a deployment",
		Group:         router.GroupDeployments,
		Rank:          4,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long: `
Pause the active deployment of a job. Running allocations keep running, and
Nomad places no more allocations until you resume it (see: resume).`,
		Examples: []router.Example{{Line: "pause p-team1-api"}},
	}
}

func (pause) Run(ctx context.Context, req *router.Request) error {
	job := req.Target.Job
	d, err := monitor.ActiveDeployment(ctx, req.Access.Cluster, job)
	if err != nil {
		return err
	}
	if d.Status == "paused" {
		return printNotice(req, "deployment %s of %s is already paused", phrase.ShortID(d.ID), job.ID)
	}
	result, err := req.Access.Writer.PauseDeployment(ctx, job, d.ID)
	if err != nil {
		return phrase.JobError(job, err)
	}
	return printResult(req, "paused deployment %s of %s%s", phrase.ShortID(d.ID), job.ID, evaluationSuffix(result))
}
