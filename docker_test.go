package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nomadctld/internal/dockertest"
	"nomadctld/internal/nomadtest"
	"nomadctld/internal/sim"
)

// TestDockerScripts runs testdata/docker: tasks of a simulated cluster whose containers are real.
func TestDockerScripts(t *testing.T) {
	host := dockertest.Daemon(t)
	cluster := nomadtest.Simulated(t)
	const running, stopped = "d0c4e400-0000-4000-8000-000000000001", "d0c4e400-0000-4000-8000-000000000002"
	docker := []sim.Task{{Name: "box", Driver: "docker"}}
	for id, allocation := range map[string]sim.Allocation{
		"p-team1-box":  {ID: running, Node: "node-1"},
		"p-team1-off":  {ID: stopped, Node: "node-1", ClientStatus: "complete"},
		"p-team1-gone": {Node: "node-1"},
		"p-team2-box":  {Node: "node-1"},
	} {
		cluster.Sim.Run(sim.Job{ID: id, Groups: []sim.Group{{Name: "g", Tasks: docker, Allocations: []sim.Allocation{allocation}}}})
	}
	dockertest.Run(t, "box-"+running, map[string]string{"com.hashicorp.nomad.alloc_id": running}, "sleep", "600")
	dockertest.Stopped(t, "box-"+stopped, map[string]string{"com.hashicorp.nomad.alloc_id": stopped}, "false")
	params := scriptParams("testdata/docker", func() nomadtest.Cluster { return cluster })
	setUp := params.Setup
	params.Setup = func(env *testscript.Env) error {
		env.Setenv("DOCKER", host)
		return setUp(env)
	}
	testscript.Run(t, params)
}
