package commands

import (
	"context"
	"fmt"

	"nomadctld/internal/monitor"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(resume) }) }

type resume struct{}

func (resume) Spec() router.Spec {
	return router.Spec{
		Name:          "resume",
		Args:          "JOB",
		Short:         "Resume a deployment",
		Group:         router.GroupDeployments,
		Rank:          5,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long:          "Resume the paused deployment of a job.",
		Examples:      []router.Example{{Line: "resume p-team1-api"}},
	}
}

func (resume) Run(ctx context.Context, req *router.Request) error {
	job := req.Target.Job
	d, err := monitor.ActiveDeployment(ctx, req.Access.Cluster, job)
	if err != nil {
		return err
	}
	if d.Status != "paused" {
		return fmt.Errorf("deployment %s of %s is not paused: it is %s", phrase.ShortID(d.ID), job.ID, d.Status)
	}
	result, err := req.Access.Writer.ResumeDeployment(ctx, job, d.ID)
	if err != nil {
		return phrase.JobError(job, err)
	}
	return printResult(req, "resumed deployment %s of %s%s", phrase.ShortID(d.ID), job.ID, evaluationSuffix(result))
}
