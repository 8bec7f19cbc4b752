package nomad

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// registerRequest is what registers a job. The definition stays the bytes that Nomad has sent: the library's type for it
// would lose what a newer Nomad has in its jobs.
type registerRequest struct {
	Job            json.RawMessage
	EnforceIndex   bool
	JobModifyIndex uint64
}

// Register sends the definition as it is, running.
func (c *Client) Register(ctx context.Context, job backends.Job, definition json.RawMessage, index uint64) (backends.WriteResult, error) {
	running, err := runnableDefinition(job, definition)
	if err != nil {
		return backends.WriteResult{}, err
	}
	var answer api.JobRegisterResponse
	err = c.write(ctx, writeRequest{
		job: job, capability: capSubmitJob, path: "/v1/jobs", response: &answer, retryTimeout: c.timeouts.register,
		body: registerRequest{Job: running, EnforceIndex: true, JobModifyIndex: index},
		verify: func(ctx context.Context) (bool, error) {
			h, err := c.currentState(ctx, job)
			switch {
			case errors.Is(err, backends.ErrNotFound) && index == 0:
				return false, nil
			case err != nil:
				return false, err
			case h.JobModifyIndex == index:
				return false, nil
			case h.Stop || !equalDefinitions(h.definition, definition):
				return false, &backends.ChangedError{Job: job.ID, Version: h.Version}
			}
			answer = c.recoveredResponse(ctx, job, h)
			return true, nil
		},
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	return c.registerResult(ctx, job, answer), nil
}

// impossibleIndex is an index that no job has.
const impossibleIndex = math.MaxUint64

// CheckRegister sends the definition with an index that cannot be the job's. Nomad looks at that after everything else that
// could be wrong with a registration, save Sentinel's policies.
func (c *Client) CheckRegister(ctx context.Context, job backends.Job, definition json.RawMessage) error {
	running, err := runnableDefinition(job, definition)
	if err != nil {
		return err
	}
	err = c.write(ctx, writeRequest{
		job: job, capability: capSubmitJob, path: "/v1/jobs", response: new(api.JobRegisterResponse),
		body:   registerRequest{Job: running, EnforceIndex: true, JobModifyIndex: impossibleIndex},
		verify: func(context.Context) (bool, error) { return false, nil }, // it changes nothing, so it can be asked again
	})
	var changed *backends.ChangedError
	switch {
	case errors.As(err, &changed):
		return nil
	case err == nil:
		return errors.New("Nomad took a registration that it should have refused") // it does not enforce indexes
	}
	return err
}

// recoveredResponse is the answer that was lost, of an order that has made the job what it is.
func (c *Client) recoveredResponse(ctx context.Context, job backends.Job, h jobState) api.JobRegisterResponse {
	return api.JobRegisterResponse{
		EvalID: c.findEvaluation(ctx, job, h.JobModifyIndex), EvalCreateIndex: h.JobModifyIndex, JobModifyIndex: h.JobModifyIndex,
	}
}

// registerResult is the outcome of a registration. When that was of what the job had been already, Nomad tells the index of
// something else, and only the job knows its own.
func (c *Client) registerResult(ctx context.Context, job backends.Job, answer api.JobRegisterResponse) backends.WriteResult {
	o := resultOf(answer)
	if answer.EvalID == "" || answer.EvalCreateIndex != answer.JobModifyIndex {
		h, _ := c.currentState(ctx, job)
		o.ModifyIndex = h.JobModifyIndex
	}
	return o
}

func resultOf(answer api.JobRegisterResponse) backends.WriteResult {
	return backends.WriteResult{EvaluationID: answer.EvalID, ModifyIndex: answer.JobModifyIndex, Warnings: answer.Warnings}
}

// overriddenFields are the fields of a definition that are registered otherwise.
var overriddenFields = map[string]string{"stop": "false", "versiontag": "null"}

// runnableDefinition returns the definition with Stop set to false, and without the name that this version has, which would then be
// that of two; everything else stays as it is.
func runnableDefinition(job backends.Job, definition json.RawMessage) (json.RawMessage, error) {
	var of struct{ ID, Namespace string }
	if err := json.Unmarshal(definition, &of); err != nil {
		return nil, fmt.Errorf("the definition of %s cannot be read: %w", job.ID, err)
	}
	if of.ID != job.ID || of.Namespace != "" && of.Namespace != job.Namespace {
		return nil, fmt.Errorf("the definition is of another job: %s in namespace %s", of.ID, of.Namespace)
	}
	running := append(json.RawMessage{}, definition...)
	d := json.NewDecoder(bytes.NewReader(definition))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	longer := 0
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var was json.RawMessage
		if err := d.Decode(&was); err != nil {
			return nil, err
		}
		// Nomad, too, takes any case for the name of a field.
		name, _ := key.(string)
		if becomes, ok := overriddenFields[strings.ToLower(name)]; ok {
			end := int(d.InputOffset()) + longer
			running = append(running[:end-len(was):end-len(was)], append([]byte(becomes), running[end:]...)...)
			longer += len(becomes) - len(was)
		}
	}
	return running, nil
}
