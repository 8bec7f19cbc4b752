package docker

import (
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/backends/backendtest"
	"nomadctld/internal/terminate"
	"nomadctld/internal/testenv/dockertest"
)

// startTask starts a container of a task and returns the task and the container's ID.
func startTask(t testing.TB, cmd ...string) (in backends.TaskRef, container string) {
	t.Helper()
	in = backends.TaskRef{
		Task: "web", Node: Node{Name: "node-1", Address: "127.0.0.1"},
		Allocation: backends.Allocation{ID: newAllocation()},
	}
	return in, dockertest.Run(t, "web-"+in.Allocation.ID, labels(in.Allocation.ID), cmd...)
}

// quickTermination lets programs be killed sooner.
var quickTermination = terminate.Intervals{Grace: time.Second, Check: 300 * time.Millisecond}

func TestRuntime(t *testing.T) {
	t.Parallel()
	host := dockertest.Daemon(t)
	d := mustOpen(t, Settings{Host: host})
	d.termination = quickTermination
	in, _ := startTask(t, "sleep", "3600")
	backendtest.Runtime(t, func(t *testing.T) (backends.Runtime, backends.TaskRef) { return d, in },
		backendtest.Features{User: true, Env: true, Dir: true, Signals: true})
}
