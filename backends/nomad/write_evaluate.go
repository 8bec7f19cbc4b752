package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Evaluate can be retried after a lost response: Nomad replaces an allocation only once.
func (c *Client) Evaluate(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	if _, err := c.requireUnchanged(ctx, job); err != nil {
		return backends.WriteResult{}, err
	}
	var response api.JobRegisterResponse
	err := c.write(ctx, writeRequest{
		job: job, capability: capEvaluateJob, path: jobPath(job, "/evaluate"), response: &response,
		body:   &api.JobEvaluateRequest{JobID: job.ID, EvalOptions: api.EvalOptions{ForceReschedule: true}},
		verify: func(context.Context) (bool, error) { return false, nil },
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	return backends.WriteResult{EvaluationID: response.EvalID}, nil
}
