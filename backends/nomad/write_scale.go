package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Scale lets Nomad compare the job's index too, for what happens after it was read.
func (c *Client) Scale(ctx context.Context, job backends.Job, group string, count int) (backends.WriteResult, error) {
	was, err := c.unchanged(ctx, job)
	if err != nil {
		return backends.WriteResult{}, err
	}
	wanted := int64(count)
	var answer api.JobRegisterResponse
	err = c.operate(ctx, write{
		job: job, right: scaleJob, path: jobPath(job, "/scale"), answer: &answer,
		body: &api.ScalingRequest{
			Count: &wanted, Target: map[string]string{"Job": job.ID, "Group": group}, Message: "through nomadctld", JobModifyIndex: was.JobModifyIndex,
		},
		look: func(ctx context.Context) (bool, error) {
			h, err := c.head(ctx, job)
			if err != nil || h.JobModifyIndex == was.JobModifyIndex {
				return false, err
			}
			for _, g := range h.TaskGroups {
				if g.Name == group && g.Count == count && !h.Stop {
					answer = c.found(ctx, job, h)
					return true, nil
				}
			}
			return false, &backends.ChangedError{Job: job.ID, Version: h.Version}
		},
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	return outcome(answer), nil
}
