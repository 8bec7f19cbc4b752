package e2e

import (
	"crypto/rand"
	"fmt"
	"testing"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// execPath is a gateway with a task, p-team1-box, into which programs are executed either through Docker or through
// Nomad.
type execPath struct {
	*gatewaytest.Gateway
	Name          string
	Cluster       *nomadsim.Cluster
	url, settings string // for another gateway to the same cluster
}

// forEachPath calls test for each path, in parallel.
func forEachPath(t *testing.T, test func(t *testing.T, p execPath)) {
	for name, start := range execPaths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

// execPaths start the paths: to a task in a real Docker container, if there is a daemon, and to a task that is a
// process of the simulated Nomad.
var execPaths = map[string]func(t *testing.T) execPath{
	"docker": func(t *testing.T) execPath {
		host := dockertest.Daemon(t)
		cluster := nomadtest.Simulated(t)
		allocation := newAllocation()
		cluster.Sim.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "docker"}, allocation))
		dockertest.RunTask(t, cluster.Sim, allocation, "box", docker.Config{Cmd: []string{"sleep", "3600"}})
		settings := fmt.Sprintf("docker.host = %q\n", host) + manyCommands
		return execPath{gatewaytest.Start(t, cluster.URL, settings), "docker", cluster.Sim, cluster.URL, settings}
	},
	"nomad": func(t *testing.T) execPath {
		cluster := nomadtest.Simulated(t)
		cluster.Sim.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "raw_exec", Command: []string{"sleep", "3600"}},
			newAllocation()))
		return execPath{gatewaytest.Start(t, cluster.URL, manyCommands), "nomad", cluster.Sim, cluster.URL, manyCommands}
	},
}

// manyCommands is a setting for tests that run thousands of programs.
const manyCommands = "limits.user.commands = 1000000\n"

func boxJob(task nomadsim.Task, allocation string) nomadsim.Job {
	return nomadsim.Job{ID: "p-team1-box", Groups: []nomadsim.Group{{
		Name: "g", Tasks: []nomadsim.Task{task}, Allocations: []nomadsim.Allocation{{ID: allocation, Node: "node-1"}},
	}}}
}

func newAllocation() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
