package commands

import (
	"context"
	"fmt"

	"nomadctld/backends"
	"nomadctld/router"
)

func init() {
	for _, h := range []deploymentChange{
		{"fail", "failed", "End a job's deployment as failed", "Nomad stops it, and goes back to the last stable version where the job says auto_revert.", backends.ClusterWriter.Fail},
		{"pause", "paused", "Hold a job's deployment up", "Nothing more is placed until it is resumed.", backends.ClusterWriter.Pause},
		{"resume", "resumed", "Let a paused deployment of a job go on", "", backends.ClusterWriter.Resume},
	} {
		router.Register(func() router.Command { return h })
	}
}

// deploymentChange implements the commands that change the state of a job's active deployment.
type deploymentChange struct {
	name, doneStatus, short, long string
	apply                         func(o backends.ClusterWriter, ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error)
}

func (h deploymentChange) Spec() router.Spec {
	return router.Spec{Name: h.name, Args: "JOB", Short: h.short, Long: h.long, Target: router.TargetJob, Set: router.Operate, WantsTerminal: true}
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
	result, err := h.apply(req.Operations, ctx, req.Job, d.ID)
	if err != nil {
		return jobError(req.Job, err)
	}
	return printResult(req, "%s deployment %s of %s%s", h.doneStatus, shortID(d.ID), req.Job.ID, evaluationSuffix(result))
}
