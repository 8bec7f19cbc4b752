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
	clientAllocPath = "/v1/client/allocation/" // passed on by the servers
)

// jobOfAllocation is the job of an allocation, as far as an order needs it.
func jobOfAllocation(a backends.Allocation) backends.Job {
	return backends.Job{Tier: a.Tier, Namespace: a.Namespace, ID: a.JobID, Root: a.Root}
}

// StopAllocation is not tried again when its answer was lost: it would stop another allocation's successor for nothing.
func (c *Client) StopAllocation(ctx context.Context, a backends.Allocation) (backends.WriteResult, error) {
	var answer api.AllocStopResponse
	path := allocationPath(serverAllocPath, a, "/stop")
	if a.JobType == "batch" { // else it would count as one that has done its work
		path += "?reschedule=true"
	}
	err := c.write(ctx, writeRequest{job: jobOfAllocation(a), capability: capAllocLifecycle, path: path, response: &answer})
	if err != nil {
		return backends.WriteResult{}, err
	}
	return backends.WriteResult{EvaluationID: answer.EvalID}, nil
}

// RestartTask returns when the task has ended; it begins again after that.
func (c *Client) RestartTask(ctx context.Context, a backends.Allocation, task string) error {
	return c.write(ctx, writeRequest{
		job: jobOfAllocation(a), capability: capAllocLifecycle, path: allocationPath(clientAllocPath, a, "/restart"), onNode: true,
		body: &api.AllocationRestartRequest{TaskName: task},
	})
}

// knownSignals are those that Nomad's drivers know. Some of them send SIGINT for any other, without a word.
var knownSignals = []string{
	"SIGABRT", "SIGALRM", "SIGBUS", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGIO", "SIGIOT", "SIGKILL", "SIGPIPE", "SIGPROF",
	"SIGQUIT", "SIGSEGV", "SIGSTOP", "SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGWINCH",
	"SIGXCPU", "SIGXFSZ",
}

// SignalTask asks the task's driver.
func (c *Client) SignalTask(ctx context.Context, a backends.Allocation, task, signal string) error {
	if !slices.Contains(knownSignals, signal) {
		return fmt.Errorf("%q is no signal that Nomad knows; nothing was done", signal)
	}
	return c.write(ctx, writeRequest{
		job: jobOfAllocation(a), capability: capAllocLifecycle, path: allocationPath(clientAllocPath, a, "/signal"), onNode: true,
		body: &api.AllocSignalRequest{Task: task, Signal: signal},
	})
}
