package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Revert makes Nomad check the job's version, in case the job changes after it was read.
func (c *Client) Revert(ctx context.Context, job backends.Job, version uint64) (backends.WriteResult, error) {
	was, err := c.requireUnchanged(ctx, job)
	if err != nil {
		return backends.WriteResult{}, err
	}
	var response api.JobRegisterResponse
	err = c.write(ctx, writeRequest{
		job: job, capability: capRevertJob, path: jobPath(job, "/revert"), response: &response,
		body: &api.JobRevertRequest{JobID: job.ID, JobVersion: version, EnforcePriorVersion: &was.Version},
		verify: func(ctx context.Context) (bool, error) {
			state, err := c.currentState(ctx, job)
			if err != nil || state.JobModifyIndex == was.JobModifyIndex {
				return false, err
			}
			earlier, err := c.Definition(ctx, job, &version)
			if err != nil || !equalDefinitions(state.definition, earlier) {
				return false, &backends.ChangedError{Job: job.ID, Version: state.Version}
			}
			response = c.recoveredResponse(ctx, job, state)
			return true, nil
		},
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	return c.registerResult(ctx, job, response), nil
}
