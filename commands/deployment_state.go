package commands

import (
	"context"
	"fmt"

	"nomadctld/backends"
	"nomadctld/router"
)

func init() {
	for _, h := range []hold{
		{"fail", "failed", "End a job's deployment as failed", "Nomad stops it, and goes back to the last stable version where the job says auto_revert.", backends.ClusterWriter.Fail},
		{"pause", "paused", "Hold a job's deployment up", "Nothing more is placed until it is resumed.", backends.ClusterWriter.Pause},
		{"resume", "resumed", "Let a paused deployment of a job go on", "", backends.ClusterWriter.Resume},
	} {
		router.Register(func() router.Command { return h })
	}
}

// hold is the commands that change the state of the deployment that goes on.
type hold struct {
	name, done, short, long string
	order                   func(o backends.ClusterWriter, ctx context.Context, job backends.Job, deployment string) (backends.WriteResult, error)
}

func (h hold) Spec() router.Spec {
	return router.Spec{Name: h.name, Args: "JOB", Short: h.short, Long: h.long, Target: router.TargetJob, Set: router.Operate, WantsTerminal: true}
}

func (h hold) Run(ctx context.Context, req *router.Request) error {
	d, err := active(ctx, req)
	if err != nil {
		return err
	}
	if d.Status == h.done {
		return already(req, "deployment %s of %s is %s already", short(d.ID), req.Job.ID, d.Status)
	}
	if h.name == "resume" && d.Status != "paused" {
		return fmt.Errorf("deployment %s of %s is not paused: it is %s", short(d.ID), req.Job.ID, d.Status)
	}
	outcome, err := h.order(req.Operations, ctx, req.Job, d.ID)
	if err != nil {
		return ofJob(req.Job, err)
	}
	return finished(req, "%s deployment %s of %s%s", h.done, short(d.ID), req.Job.ID, evaluation(outcome))
}
