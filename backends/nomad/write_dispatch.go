package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Force is not tried again when its answer was lost: it would launch the job twice.
func (c *Client) Force(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	var answer struct{ EvalID string }
	err := c.write(ctx, writeRequest{job: job, capability: capDispatchJob, path: jobPath(job, "/periodic/force"), response: &answer})
	if err != nil {
		return backends.WriteResult{}, err
	}
	o := backends.WriteResult{EvaluationID: answer.EvalID}
	// Nomad does not name the child, but its evaluation does.
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	e, err := readObject(ctx, c, job.Namespace, capReadJob, func(q *api.QueryOptions) (*api.Evaluation, *api.QueryMeta, error) {
		return c.api.Evaluations().Info(answer.EvalID, q)
	})
	if err == nil && e.JobID != job.ID {
		o.ChildID = e.JobID
	}
	return o, nil
}

// Dispatch gives each order a key, by which Nomad knows one that it has taken already as long as it keeps the child.
func (c *Client) Dispatch(ctx context.Context, job backends.Job, meta map[string]string, payload []byte) (backends.WriteResult, error) {
	var answer api.JobDispatchResponse
	err := c.write(ctx, writeRequest{
		job: job, capability: capDispatchJob, path: jobPath(job, "/dispatch"), response: &answer, idempotencyToken: randomHex(),
		body: &api.JobDispatchRequest{JobID: job.ID, Meta: meta, Payload: payload},
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	o := backends.WriteResult{EvaluationID: answer.EvalID, ChildID: answer.DispatchedJobID}
	if o.EvaluationID == "" { // of an order that had been taken already, Nomad tells the child only
		o.EvaluationID = c.findEvaluation(ctx, backends.Job{Namespace: job.Namespace, ID: o.ChildID}, answer.JobCreateIndex)
	}
	return o, nil
}
