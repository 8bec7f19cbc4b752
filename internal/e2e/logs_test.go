package e2e

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// Tests of logs and tail that need Docker or real time.

// boxTask is a docker task of the job p-team1-box in a simulated cluster, with a gateway.
type boxTask struct {
	*gatewaytest.Gateway
	cluster    *nomadsim.Cluster
	allocation string
}

// dockerBox starts the cluster and the gateway. The keys and values of logging are the logging block of the task's
// config.
func dockerBox(t *testing.T, logging ...string) boxTask {
	t.Helper()
	host := dockertest.Daemon(t)
	cluster, allocation := nomadtest.Simulated(t), newAllocation()
	task := nomadsim.Task{Name: "box", Driver: "docker"}
	if logging != nil {
		options := map[string]any{}
		for i := 1; i < len(logging); i += 2 {
			options[logging[i]] = logging[i+1]
		}
		block := map[string]any{"type": logging[0]}
		if len(options) > 0 {
			block["config"] = []any{options}
		}
		task.Config = map[string]any{"image": "example/box:1", "logging": []any{block}}
	}
	cluster.Sim.AddJob(boxJob(task, allocation))
	return boxTask{gatewaytest.Start(t, cluster.URL, fmt.Sprintf("docker.host = %q\n", host)), cluster.Sim, allocation}
}

// startContainer starts a container of the task. Nomad starts a new one with the same name for each restart.
func (b boxTask) startContainer(t *testing.T, script string) (container string) {
	t.Helper()
	return dockertest.RunTask(t, b.cluster, b.allocation, "box", docker.Config{Cmd: []string{"sh", "-c", script}})
}

// TestLogs_ContainerRemoved reads the log files of Nomad.
func TestLogs_ContainerRemoved(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	host := dockertest.Daemon(t)
	cluster := nomadtest.Simulated(t)
	allocation := newAllocation()
	job := boxJob(nomadsim.Task{Name: "box", Driver: "docker"}, allocation)
	at := time.Now()
	job.Groups[0].Allocations[0].ClientStatus = "complete"
	job.Groups[0].Allocations[0].Tasks = map[string]nomadsim.TaskState{"box": {
		State: "dead", Events: []nomadsim.Event{jobspec.Started(at), jobspec.DockerTerminated(at, 0, "")},
	}}
	cluster.Sim.AddJob(job)
	cluster.Sim.Log(allocation, "box", "stdout", []byte("kept\n"))
	auto := gatewaytest.Start(t, cluster.URL, fmt.Sprintf("docker.host = %q\n", host))
	for _, line := range []string{"logs " + allocation, "tail " + allocation} {
		if out, err := auto.SSH("wim", line).Output(); string(out) != "kept\n" || err != nil {
			t.Errorf("%s: got %q, %v", line, out, err)
		}
	}
	only := gatewaytest.Start(t, cluster.URL, fmt.Sprintf("docker.host = %q\ndocker.exec = \"docker\"\n", host))
	logs := only.SSH("wim", "logs", allocation)
	var stderr bytes.Buffer
	logs.Stderr = &stderr
	if out, err := logs.Output(); len(out) > 0 || err == nil || !strings.Contains(stderr.String(), "container") {
		t.Errorf("with docker alone: got %q, %v, %q", out, err, stderr.String())
	}
}

func TestLogs_WaitsForSlowReader(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	g := dockerBox(t, "json-file") // without a limit
	dockertest.Wait(t, g.startContainer(t, "yes $(head -c 999 /dev/zero | tr '\\0' x) | head -n 11000"))
	logs := g.SSH("wim", "logs -n all p-team1-box/g/box")
	pipe, err := logs.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := logs.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	n, err := io.Copy(io.Discard, pipe)
	if n != 11_000_000 || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if err := logs.Wait(); err != nil {
		t.Error(err)
	}
}

func TestLogs_TerminalAllowsOnlyColors(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	allocation := newAllocation()
	cluster.Sim.AddJob(boxJob(nomadsim.Task{Name: "box", Driver: "raw_exec"}, allocation))
	const evil = "\x1b[31mred\x1b[0m \x1b]0;title\a \x1b[2J\u202e\r\nprogress\rbar\n"
	cluster.Sim.Log(allocation, "box", "stdout", []byte(evil))
	g := gatewaytest.Start(t, cluster.URL, "")
	if out, err := g.SSH("wim", "logs p-team1-box/g/box").Output(); string(out) != evil || err != nil {
		t.Errorf("without a terminal: got %q, %v", out, err)
	}
	logs := g.SSH("wim", "logs p-team1-box/g/box")
	logs.Args = append([]string{"ssh", "-tt"}, logs.Args[1:]...)
	want := "\x1b[31mred\x1b[0m \\x1b]0;title\\x07 \\x1b[2J\\u202e\x1b[0m\r\nprogress\\rbar\r\n"
	if out, err := logs.Output(); string(out) != want || err != nil {
		t.Errorf("with one: got %q, %v, want %q", out, err, want)
	}
}
