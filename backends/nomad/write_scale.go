package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Scale makes Nomad check the job's index, in case the job changes after it was read.
func (c *Client) Scale(ctx context.Context, job backends.Job, group string, count int) (backends.WriteResult, error) {
	was, err := c.requireUnchanged(ctx, job)
	if err != nil {
		return backends.WriteResult{}, err
	}
	wanted := int64(count)
	var response api.JobRegisterResponse
	err = c.write(ctx, writeRequest{
		job: job, capability: capScaleJob, path: jobPath(job, "/scale"), response: &response,
		body: &api.ScalingRequest{
			Count: &wanted, Target: map[string]string{"Job": job.ID, "Group": group}, Message: "through nomadctld",
			JobModifyIndex: was.JobModifyIndex,
		},
		verify: func(ctx context.Context) (bool, error) {
			state, err := c.currentState(ctx, job)
			if err != nil || state.JobModifyIndex == was.JobModifyIndex {
				return false, err
			}
			for _, g := range state.TaskGroups {
				if g.Name == group && g.Count == count && !state.Stop {
					response = c.recoveredResponse(ctx, job, state)
					return true, nil
				}
			}
			return false, &backends.ChangedError{Job: job.ID, Version: state.Version}
		},
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	return resultOf(response), nil
}
