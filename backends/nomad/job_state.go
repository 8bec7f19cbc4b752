package nomad

import (
	"context"
	"encoding/json"

	"nomadctld/backends"
)

// head is what a job is now.
type head struct {
	Version        uint64
	JobModifyIndex uint64
	Stop           bool
	TaskGroups     []struct {
		Name  string
		Count int
	}

	raw json.RawMessage // all of it
}

// head reads a job. ErrGone: there is none.
func (c *Client) head(ctx context.Context, job backends.Job) (head, error) {
	raw, err := c.Definition(ctx, job, nil)
	if err != nil {
		return head{}, err
	}
	h := head{raw: raw}
	if err := json.Unmarshal(raw, &h); err != nil {
		return head{}, explain(err)
	}
	return h, nil
}

// unchanged reads a job that has to be what it was when it was looked up, as far as that is known.
func (c *Client) unchanged(ctx context.Context, job backends.Job) (head, error) {
	h, err := c.head(ctx, job)
	if err == nil && job.ModifyIndex != 0 && h.JobModifyIndex != job.ModifyIndex {
		err = &backends.ChangedError{Job: job.ID, Version: h.Version}
	}
	return h, err
}

// evaluation returns the ID of the evaluation that a change of a job has made, or "" if it cannot be found.
func (c *Client) evaluation(ctx context.Context, job backends.Job, index uint64) string {
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
