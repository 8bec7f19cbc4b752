package commands

import (
	"context"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/monitor"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() {
	for _, c := range []deploymentChange{
		{"fail", "failed", 3, "Fail a deployment", `
Mark the active deployment of a job as failed. Nomad stops the deployment and, if
the job sets auto_revert, reverts the job to its last stable version.`, backends.ClusterWriter.FailDeployment},
		{"pause", "paused", 4, "Pause a deployment", `
Pause the active deployment of a job. Running allocations keep running, and
Nomad places no more allocations until you resume it (see: resume).`, backends.ClusterWriter.PauseDeployment},
		{
			"resume", "resumed", 5, "Resume a deployment", "Resume the paused deployment of a job.",
			backends.ClusterWriter.ResumeDeployment,
		},
	} {
		router.Register(func() router.Command { return c })
	}
}

// deploymentChange implements the commands that change the state of a job's active deployment.
type deploymentChange struct {
	name, participle string
	rank             int
	short, long      string
	apply            func(backends.ClusterWriter, context.Context, backends.Job, string) (backends.WriteResult, error)
}

func (c deploymentChange) Spec() router.Spec {
	return router.Spec{
		Name:          c.name,
		Args:          "JOB",
		Short:         c.short,
		Group:         router.GroupDeployments,
		Rank:          c.rank,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long:          c.long,
		Examples:      []router.Example{{Line: c.name + " p-team1-api"}},
	}
}

func (c deploymentChange) Run(ctx context.Context, req *router.Request) error {
	d, err := monitor.ActiveDeployment(ctx, req.Access.Cluster, req.Target.Job)
	if err != nil {
		return err
	}
	if d.Status == c.participle {
		return printNotice(req, "deployment %s of %s is already %s", phrase.ShortID(d.ID), req.Target.Job.ID, d.Status)
	}
	if c.name == "resume" && d.Status != "paused" {
		return fmt.Errorf("deployment %s of %s is not paused: it is %s", phrase.ShortID(d.ID), req.Target.Job.ID, d.Status)
	}
	result, err := c.apply(req.Access.Writer, ctx, req.Target.Job, d.ID)
	if err != nil {
		return phrase.JobError(req.Target.Job, err)
	}
	done := fmt.Sprintf("%s deployment %s of %s", c.participle, phrase.ShortID(d.ID), req.Target.Job.ID)
	if c.name == "fail" { // "failed deployment" reads as an error
		done = fmt.Sprintf("marked deployment %s of %s as failed", phrase.ShortID(d.ID), req.Target.Job.ID)
	}
	return printResult(req, "%s%s", done, evaluationSuffix(result))
}
