package commands

import (
	"context"
	"fmt"

	"nomadctld/backends"
	"nomadctld/router"
)

func init() {
	for _, h := range []deploymentChange{
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
		router.Register(func() router.Command { return h })
	}
}

// deploymentChange implements the commands that change the state of a job's active deployment.
type deploymentChange struct {
	name, doneStatus string
	rank             int
	short, long      string
	apply            func(backends.ClusterWriter, context.Context, backends.Job, string) (backends.WriteResult, error)
}

func (h deploymentChange) Spec() router.Spec {
	return router.Spec{
		Name:          h.name,
		Args:          "JOB",
		Short:         h.short,
		Group:         router.GroupDeployments,
		Rank:          h.rank,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long:          h.long,
		Examples:      []router.Example{{Line: h.name + " p-team1-api"}},
	}
}

func (h deploymentChange) Run(ctx context.Context, req *router.Request) error {
	d, err := activeDeployment(ctx, req)
	if err != nil {
		return err
	}
	if d.Status == h.doneStatus {
		return printNotice(req, "deployment %s of %s is already %s", shortID(d.ID), req.Job.ID, d.Status)
	}
	if h.name == "resume" && d.Status != "paused" {
		return fmt.Errorf("deployment %s of %s is not paused: it is %s", shortID(d.ID), req.Job.ID, d.Status)
	}
	result, err := h.apply(req.Writer, ctx, req.Job, d.ID)
	if err != nil {
		return jobError(req.Job, err)
	}
	return printResult(req, "%s deployment %s of %s%s", h.doneStatus, shortID(d.ID), req.Job.ID, evaluationSuffix(result))
}
