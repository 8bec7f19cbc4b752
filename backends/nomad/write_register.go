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

// registerRequest is the body of a registration. The definition is Nomad's own JSON, because the library's type would
// lose fields of newer versions of Nomad.
type registerRequest struct {
	Job            json.RawMessage
	EnforceIndex   bool
	JobModifyIndex uint64
}

// Register sends the definition unchanged, except for overriddenFields.
func (c *Client) Register(
	ctx context.Context, job backends.Job, definition json.RawMessage, index uint64,
) (backends.WriteResult, error) {
	runnable, err := runnableDefinition(job, definition)
	if err != nil {
		return backends.WriteResult{}, err
	}
	var response api.JobRegisterResponse
	err = c.write(ctx, writeRequest{
		job: job, capability: capRegisterJob, path: "/v1/jobs", response: &response, retryTimeout: c.timeouts.register,
		body: registerRequest{Job: runnable, EnforceIndex: true, JobModifyIndex: index},
		verify: func(ctx context.Context) (bool, error) {
			state, err := c.currentState(ctx, job)
			switch {
			case errors.Is(err, backends.ErrNotFound) && index == 0:
				return false, nil
			case err != nil:
				return false, err
			case state.JobModifyIndex == index:
				return false, nil
			case state.Stop || !equalDefinitions(state.definition, definition):
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

// impossibleIndex is an index that no job has.
const impossibleIndex = math.MaxUint64

// CheckRegister sends an index that no job has. Nomad makes all its checks except Sentinel policies, and then rejects
// the request because of the index.
func (c *Client) CheckRegister(ctx context.Context, job backends.Job, definition json.RawMessage) error {
	runnable, err := runnableDefinition(job, definition)
	if err != nil {
		return err
	}
	err = c.write(ctx, writeRequest{
		job: job, capability: capRegisterJob, path: "/v1/jobs", response: new(api.JobRegisterResponse),
		body:   registerRequest{Job: runnable, EnforceIndex: true, JobModifyIndex: impossibleIndex},
		verify: func(context.Context) (bool, error) { return false, nil }, // it changes nothing, so it can be retried
	})
	var changed *backends.ChangedError
	switch {
	case errors.As(err, &changed):
		return nil
	case err == nil:
		return errors.New("Nomad accepted a trial registration that it should have rejected (see: history)")
	}
	return err
}

// recoveredResponse reconstructs a lost response. state is the job's state after the change.
func (c *Client) recoveredResponse(ctx context.Context, job backends.Job, state jobState) api.JobRegisterResponse {
	return api.JobRegisterResponse{
		EvalID:          c.findEvaluation(ctx, job, state.JobModifyIndex),
		EvalCreateIndex: state.JobModifyIndex, JobModifyIndex: state.JobModifyIndex,
	}
}

// registerResult returns the result of a registration. If the definition was already the current one, the index in the
// response is not the job's, so registerResult reads the job.
func (c *Client) registerResult(
	ctx context.Context, job backends.Job, response api.JobRegisterResponse,
) backends.WriteResult {
	result := resultOf(response)
	if response.EvalID == "" || response.EvalCreateIndex != response.JobModifyIndex {
		state, _ := c.currentState(ctx, job)
		result.ModifyIndex = state.JobModifyIndex
	}
	return result
}

// resultOf converts Nomad's response.
func resultOf(response api.JobRegisterResponse) backends.WriteResult {
	return backends.WriteResult{
		EvaluationID: response.EvalID, ModifyIndex: response.JobModifyIndex, Warnings: splitWarnings(response.Warnings),
	}
}

// overriddenFields are the fields of a definition that a registration replaces, in lower case.
var overriddenFields = map[string]string{"stop": "false", "versiontag": "null"}

// runnableDefinition returns the definition with Stop set to false and without its version tag, which must be unique.
// It changes no other byte.
func runnableDefinition(job backends.Job, definition json.RawMessage) (json.RawMessage, error) {
	var of struct{ ID, Namespace string }
	if err := json.Unmarshal(definition, &of); err != nil {
		return nil, fmt.Errorf("cannot read the definition of %s: %w", job.ID, err)
	}
	if of.ID != job.ID || of.Namespace != "" && of.Namespace != job.Namespace {
		return nil, fmt.Errorf("the definition belongs to another job: %s in namespace %s", of.ID, of.Namespace)
	}
	runnable := append(json.RawMessage{}, definition...)
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
		// Field names are case-insensitive, as in Nomad.
		name, _ := key.(string)
		if becomes, ok := overriddenFields[strings.ToLower(name)]; ok {
			end := int(d.InputOffset()) + longer
			runnable = append(runnable[:end-len(was):end-len(was)], append([]byte(becomes), runnable[end:]...)...)
			longer += len(becomes) - len(was)
		}
	}
	return runnable, nil
}
