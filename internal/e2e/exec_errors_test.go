package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// runRefused runs a command that must fail with code 125 and one line of stderr.
func runRefused(t *testing.T, g *gatewaytest.Gateway, words ...string) string {
	t.Helper()
	cmd := g.SSH("wim", words...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 125 || len(out) > 0 || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("%q: got %v, %q and %q, want code 125 and one line", words, err, out, stderr.String())
	}
	return stderr.String()
}

func TestExec_PendingTask(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	job := boxJob(nomadsim.Task{Name: "box", Driver: "raw_exec"}, newAllocation())
	a := &job.Groups[0].Allocations[0]
	a.ClientStatus, a.Tasks = "pending", map[string]nomadsim.TaskState{"box": {State: "pending"}}
	cluster.Sim.AddJob(job)
	g := gatewaytest.Start(t, cluster.URL, "")
	got, want := runRefused(t, g, "exec", a.ID, "true"), "nomadctld: task box of p-team1-box."
	if !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got = runRefused(t, g, "exec", "p-team1-box", "true")
	if !strings.Contains(got, "no task of p-team1-box is running") {
		t.Errorf("got %q", got)
	}
}

func TestExec_TaskPurgedBeforeStart(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	task := nomadsim.Task{Name: "box", Driver: "raw_exec", Command: []string{"sleep", "3600"}}
	cluster.Sim.AddJob(boxJob(task, newAllocation()))
	g := gatewaytest.Start(t, cluster.URL, "")
	// The exec request is delayed until the job is purged.
	cluster.Sim.Inject(nomadsim.Failure{Path: "/v1/client/allocation/{id}/exec", Delay: 3 * time.Second, Times: 1})
	go func() {
		for cluster.Sim.Traffic("/v1/client/allocation/{id}/exec").Requests == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		cluster.Sim.Purge("default", "p-team1-box")
	}()
	if got := runRefused(t, g, "exec", "p-team1-box", "true"); !strings.Contains(got, "allocation not found in Nomad") {
		t.Errorf("got %q, want that it is not found", got)
	}
}

// TestExec_BackendLost cuts the connection to dockerd or to the Nomad agent, as a restart would.
func TestExec_BackendLost(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	for name, start := range map[string]func(t *testing.T) (g *gatewaytest.Gateway, cut func()){
		"docker": func(t *testing.T) (*gatewaytest.Gateway, func()) {
			address, cut := dockertest.ProxyTCPWithCut(t, dockertest.Daemon(t))
			cluster, allocation := nomadtest.Simulated(t), newAllocation()
			cluster.Sim.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "docker"}, allocation))
			dockertest.RunTask(t, cluster.Sim, allocation, "box", docker.Config{Cmd: []string{"sleep", "3600"}})
			return gatewaytest.Start(t, cluster.URL, fmt.Sprintf("docker.host = \"tcp://%s\"\n",
				strings.TrimPrefix(address, "tcp://"))), cut
		},
		"nomad": func(t *testing.T) (*gatewaytest.Gateway, func()) {
			cluster := nomadtest.Simulated(t)
			cluster.Sim.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "raw_exec", Command: []string{"sleep", "3600"}},
				newAllocation()))
			return gatewaytest.Start(t, cluster.URL, ""), cluster.Sim.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, cut := start(t)
			cmd := g.SSH("wim", "exec", "p-team1-box", "-c", "'echo started; sleep 60'")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out := startAndExpect(t, cmd, "started\n")
			cut()
			rest, _ := io.ReadAll(out)
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 125 || len(rest) > 0 ||
				strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("got %v, %q and %q, want code 125 and one line", err, rest, stderr.String())
			}
		})
	}
}

// TestExec_ConfiguredBackend uses a Docker daemon that does not respond, and counts the connections to it.
func TestExec_ConfiguredBackend(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	daemon, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Close()
	var connections atomic.Int32
	go func() {
		for {
			conn, err := daemon.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			conn.Close()
		}
	}()
	cluster := nomadtest.Simulated(t)
	for driver, job := range map[string]string{"docker": "p-team1-docker", "raw_exec": "p-team1-process"} {
		cluster.Sim.AddJob(nomadsim.Job{ID: job, Groups: []nomadsim.Group{{Name: "g", Tasks: []nomadsim.Task{{
			Name: "box", Driver: driver, Command: []string{"/bin/sh", "-c", "echo logged; exec sleep 3600"},
		}}}}})
	}
	for _, c := range []struct {
		mode, job string
		docker    bool // whether the gateway connects to the daemon
		code      int
	}{
		{"auto", "p-team1-process", false, 0},
		{"auto", "p-team1-docker", true, 0}, // falls back to Nomad
		{"nomad", "p-team1-process", false, 0},
		{"nomad", "p-team1-docker", false, 0},
		{"docker", "p-team1-process", true, 125},
		{"docker", "p-team1-docker", true, 125},
	} {
		g := gatewaytest.Start(t, cluster.URL, fmt.Sprintf("docker.host = \"tcp://%s\"\ndocker.exec = %q\n",
			daemon.Addr(), c.mode))
		connections.Store(0)
		cmd := g.SSH("wim", "exec", c.job, "echo", "hello")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, _ := cmd.Output()
		if code := cmd.ProcessState.ExitCode(); code != c.code || string(out) == "hello\n" != (c.code == 0) ||
			strings.Count(stderr.String(), "\n") != min(code, 1) {
			t.Errorf("%+v: got %d, %q, %q", c, code, out, stderr.String())
		}
		if (connections.Load() > 0) != c.docker {
			t.Errorf("%+v: got %d connections to the daemon", c, connections.Load())
		}
		if out, err := g.SSH("wim", "logs", c.job+"/g/box").Output(); string(out) == "logged\n" != (c.code == 0) ||
			(err == nil) != (c.code == 0) {
			t.Errorf("%+v: logs: got %q, %v", c, out, err)
		}
	}
}
