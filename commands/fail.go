package commands

import (
	"context"

	"nomadctld/internal/monitor"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(fail) }) }

type fail struct{}

func (fail) Spec() router.Spec {
	return router.Spec{
		Name:          "fail",
		Args:          "JOB",
		Short:         "Fail a deployment",
		Group:         router.GroupDeployments,
		Rank:          3,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long: `
Mark the active deployment of a job as failed. Nomad stops the deployment and, if
the job sets auto_revert, reverts the job to its last stable version.`,
		Examples: []router.Example{{Line: "fail p-team1-api"}},
	}
}

func (fail) Run(ctx context.Context, req *router.Request) error {
	job := req.Target.Job
	d, err := monitor.ActiveDeployment(ctx, req.Access.Cluster, job)
	if err != nil {
		return err
	}
	result, err := req.Access.Writer.FailDeployment(ctx, job, d.ID)
	if err != nil {
		return phrase.JobError(job, err)
	}
	return printResult(req, "marked deployment %s of %s as failed%s", phrase.ShortID(d.ID), job.ID,
		evaluationSuffix(result))
}
