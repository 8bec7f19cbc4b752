package nomad

import (
	"context"
	"encoding/json"

	"nomadctld/backends"
)

// jobState holds the fields of a job that are checked before and after a change.
type jobState struct {
	Version        uint64
	JobModifyIndex uint64
	Stop           bool
	TaskGroups     []struct {
		Name  string
		Count int
	}

	definition json.RawMessage // the whole job
}

// currentState reads a job. ErrNotFound: it does not exist.
func (c *Client) currentState(ctx context.Context, job backends.Job) (jobState, error) {
	raw, err := c.Definition(ctx, job, nil)
	if err != nil {
		return jobState{}, err
	}
	state := jobState{definition: raw}
	if err := json.Unmarshal(raw, &state); err != nil {
		return jobState{}, explain(err)
	}
	return state, nil
}

// requireUnchanged reads a job. It returns a *ChangedError if the job's index is not job.ModifyIndex, unless that is 0.
func (c *Client) requireUnchanged(ctx context.Context, job backends.Job) (jobState, error) {
	state, err := c.currentState(ctx, job)
	if err == nil && job.ModifyIndex != 0 && state.JobModifyIndex != job.ModifyIndex {
		err = &backends.ChangedError{Job: job.ID, Version: state.Version}
	}
	return state, err
}

// findEvaluation returns the ID of the evaluation that a change of the job has created, or "" if it cannot be found.
// index is the job's index after the change.
func (c *Client) findEvaluation(ctx context.Context, job backends.Job, index uint64) string {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	found, err := c.evaluations(ctx, job)
	if err != nil {
		return ""
	}
	for _, e := range found {
		if e.JobModifyIndex == index {
			return e.ID
		}
	}
	return ""
}
