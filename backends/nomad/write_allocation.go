package nomad

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

const (
	serverAllocPath = "/v1/allocation/"
	clientAllocPath = "/v1/client/allocation/" // forwarded to the node
)

// jobOfAllocation returns the job of an allocation, with the fields that a write needs.
func jobOfAllocation(a backends.Allocation) backends.Job {
	return backends.Job{Tier: a.Tier, Namespace: a.Namespace, ID: a.JobID, Root: a.Root}
}

// StopAllocation is not retried after a lost response: it might stop the allocation's replacement as well.
func (c *Client) StopAllocation(ctx context.Context, a backends.Allocation) (backends.WriteResult, error) {
	var response api.AllocStopResponse
	path := allocationPath(serverAllocPath, a, "/stop")
	if a.JobType == "batch" { // without this, Nomad would not replace it
		path += "?reschedule=true"
	}
	err := c.write(ctx, writeRequest{
		job: jobOfAllocation(a), capability: capAllocLifecycle, path: path, response: &response,
	})
	if err != nil {
		return backends.WriteResult{}, err
	}
	return backends.WriteResult{EvaluationID: response.EvalID}, nil
}

// RestartTask returns when the task has stopped, before it starts again.
func (c *Client) RestartTask(ctx context.Context, a backends.Allocation, task string) error {
	return c.write(ctx, writeRequest{
		job: jobOfAllocation(a), capability: capAllocLifecycle, path: allocationPath(clientAllocPath, a, "/restart"),
		onNode: true, body: &api.AllocationRestartRequest{TaskName: task},
	})
}

// SignalTask sends the signal through the task's driver.
func (c *Client) SignalTask(ctx context.Context, a backends.Allocation, task, signal string) error {
	if !slices.Contains(backends.TaskSignals, signal) {
		return fmt.Errorf("Nomad does not support the signal %q; nothing was done", signal)
	}
	return c.write(ctx, writeRequest{
		job: jobOfAllocation(a), capability: capAllocLifecycle, path: allocationPath(clientAllocPath, a, "/signal"),
		onNode: true, body: &api.AllocSignalRequest{Task: task, Signal: signal},
	})
}
