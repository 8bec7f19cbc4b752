package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Force is not retried after a lost response: it might run the job twice.
func (c *Client) Force(ctx context.Context, job backends.Job) (backends.WriteResult, error) {
	var response struct{ EvalID string }
	err := c.write(ctx, writeRequest{
		job: job, capability: capDispatchJob, path: jobPath(job, "/periodic/force"), response: &response,
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	result := backends.WriteResult{EvaluationID: response.EvalID}
	// The response does not contain the child's ID, but its evaluation does.
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	e, err := readObject(ctx, c, job.Namespace, capReadJob,
		func(q *api.QueryOptions) (*api.Evaluation, *api.QueryMeta, error) {
			return c.reads.Evaluations().Info(response.EvalID, q)
		})
	if err == nil && e.JobID != job.ID {
		result.ChildID = e.JobID
	}
	return result, nil
}

// Dispatch uses an idempotency token, with which Nomad detects a retry as long as it retains the child.
func (c *Client) Dispatch(
	ctx context.Context, job backends.Job, meta map[string]string, payload []byte,
) (backends.WriteResult, error) {
	var response api.JobDispatchResponse
	err := c.write(ctx, writeRequest{
		job: job, capability: capDispatchJob, path: jobPath(job, "/dispatch"), response: &response,
		idempotencyToken: randomHex(), body: &api.JobDispatchRequest{JobID: job.ID, Meta: meta, Payload: payload},
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	result := backends.WriteResult{EvaluationID: response.EvalID, ChildID: response.DispatchedJobID}
	if result.EvaluationID == "" { // the response to a retry contains only the child
		child := backends.Job{Namespace: job.Namespace, ID: result.ChildID}
		result.EvaluationID = c.findEvaluation(ctx, child, response.JobCreateIndex)
	}
	return result, nil
}
