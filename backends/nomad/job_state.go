package nomad

import (
	"context"
	"encoding/json"

	"nomadctld/backends"
)

// jobState is what a job is now.
type jobState struct {
	Version        uint64
	JobModifyIndex uint64
	Stop           bool
	TaskGroups     []struct {
		Name  string
		Count int
	}

	definition json.RawMessage // all of it
}

// currentState reads a job. ErrGone: there is none.
func (c *Client) currentState(ctx context.Context, job backends.Job) (jobState, error) {
	raw, err := c.Definition(ctx, job, nil)
	if err != nil {
		return jobState{}, err
	}
	h := jobState{definition: raw}
	if err := json.Unmarshal(raw, &h); err != nil {
		return jobState{}, explain(err)
	}
	return h, nil
}

// requireUnchanged reads a job that has to be what it was when it was looked up, as far as that is known.
func (c *Client) requireUnchanged(ctx context.Context, job backends.Job) (jobState, error) {
	h, err := c.currentState(ctx, job)
	if err == nil && job.ModifyIndex != 0 && h.JobModifyIndex != job.ModifyIndex {
		err = &backends.ChangedError{Job: job.ID, Version: h.Version}
	}
	return h, err
}

// findEvaluation returns the ID of the evaluation that a change of a job has made, or "" if it cannot be found.
func (c *Client) findEvaluation(ctx context.Context, job backends.Job, index uint64) string {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
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
