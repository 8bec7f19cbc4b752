package nomad

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Stop reads the job first: Nomad would stop a changed job as well, and succeeds even if the job does not exist.
func (c *Client) Stop(ctx context.Context, job backends.Job, purge bool) (backends.WriteResult, error) {
	was, err := c.requireUnchanged(ctx, job)
	if err != nil {
		return backends.WriteResult{}, err
	}
	capability := capDeregisterJob
	if purge {
		capability = capPurgeJob
	}
	var response api.JobDeregisterResponse
	err = c.write(ctx, writeRequest{
		job: job, capability: capability, method: http.MethodDelete,
		path: jobPath(job, "?purge="+strconv.FormatBool(purge)), response: &response,
		beforeRetry: func(ctx context.Context) error {
			var changed *backends.ChangedError
			if _, err := c.requireUnchanged(ctx, job); errors.As(err, &changed) || errors.Is(err, backends.ErrNotFound) {
				return err
			}
			return nil // if the job cannot be read, try to stop it anyway
		},
		verify: func(ctx context.Context) (bool, error) {
			state, err := c.currentState(ctx, job)
			switch {
			case purge && errors.Is(err, backends.ErrNotFound):
				return true, nil
			case err != nil:
				return false, err
			case state.JobModifyIndex == was.JobModifyIndex:
				return false, nil
			case purge || !state.Stop:
				return false, &backends.ChangedError{Job: job.ID, Version: state.Version}
			}
			response = api.JobDeregisterResponse{
				JobModifyIndex: state.JobModifyIndex, EvalID: c.findEvaluation(ctx, job, state.JobModifyIndex),
			}
			return true, nil
		},
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	result := backends.WriteResult{EvaluationID: response.EvalID, ModifyIndex: response.JobModifyIndex}
	if purge {
		result.ModifyIndex = 0
	}
	return result, nil
}
