package e2e

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	docker "github.com/fsouza/go-dockerclient"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/dockertest"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// dockerLog returns the complete log of a container in Docker.
func dockerLog(t *testing.T, container string) string {
	t.Helper()
	var out bytes.Buffer
	err := dockertest.Client(t).Logs(docker.LogsOptions{
		Container: container, Stdout: true, Stderr: true, OutputStream: &out, ErrorStream: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestLogs_DockerLogLimit uses a task that writes 5 MB. The docker driver limits Docker's log to 4 MB, but Nomad's log
// files have all 5 MB.
func TestLogs_DockerLogLimit(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	g := dockerBox(t)
	container := g.startContainer(t, "p=$(head -c 990 /dev/zero | tr '\\0' x); i=0; "+
		"while [ $i -lt 5000 ]; do i=$((i+1)); echo $i $p; done; exec sleep 600")
	var all strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&all, "%d %s\n", i+1, strings.Repeat("x", 990))
	}
	testenv.Eventually(t, "the container has written all lines", func() bool {
		return strings.HasPrefix(lastLine(dockerLog(t, container)), "5000 ")
	})
	if kept := dockerLog(t, container); len(kept) > 4_000_000 || strings.HasPrefix(kept, "1 ") {
		t.Fatalf("Docker stores %d bytes, starting with %.8q, want the end of the log, below 4 MB", len(kept), kept)
	}
	testenv.Eventually(t, "logs prints all lines", func() bool {
		out, err := g.SSH("wim", "logs -n all p-team1-box/g/box").Output()
		return string(out) == all.String() && err == nil
	})
}

func lastLine(text string) string {
	text = strings.TrimSuffix(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// TestLogs_DockerHasRotated uses a task whose logging block limits Docker's log to 40 KB, while the simulated Nomad
// stores all.
func TestLogs_DockerHasRotated(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	g := dockerBox(t, "json-file", "max-size", "20k", "max-file", "2")
	id := g.startContainer(t, "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done; sleep 1; echo err >&2; "+
		"exec sleep 600")
	var all strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&all, "line %d\n", i+1)
	}
	testenv.Eventually(t, "the container has written all lines", func() bool {
		kept := dockerLog(t, id)
		return strings.Contains(kept, "err\n") && strings.Contains(kept, "line 3000\n")
	})
	if n := strings.Count(dockerLog(t, id), "\n"); n > 1500 {
		t.Fatalf("Docker stores %d lines, so it has not rotated the log", n)
	}
	testenv.Eventually(t, "Nomad's files have all lines", func() bool {
		out, err := g.SSH("wim", "logs -n all p-team1-box/g/box").Output()
		return err == nil && strings.HasPrefix(string(out), "line 1\n") && strings.HasSuffix(string(out), "err\n")
	})
	note := regexp.MustCompile(`^nomadctld: lines before 20\S+Z come from Nomad's log files.*\n$`)
	for _, tc := range []struct {
		line  string
		lines int // of stdout
	}{
		{"logs -n all", 3000},
		{"logs -n 2501", 2500},
		{"logs --stdout -n 2500", 2500},
		{"logs --since 1h", 3000},
		{"logs -n 11", 10},
		{"logs --stdout -n all", 3000},
	} {
		logs := g.SSH("wim", tc.line+" p-team1-box/g/box")
		var stderr bytes.Buffer
		logs.Stderr = &stderr
		out, err := logs.Output()
		got := strings.ReplaceAll(string(out), "err\n", "")
		if want := strings.Join(strings.SplitAfter(all.String(), "\n")[3000-tc.lines:], ""); got != want || err != nil {
			t.Errorf("%s: got %d lines, %v, want %d", tc.line, strings.Count(got, "\n"), err, tc.lines)
		}
		if tc.lines > 10 != note.Match(stderr.Bytes()) {
			t.Errorf("%s: stderr %q", tc.line, stderr.String())
		}
	}
	tail := g.SSH("wim", "tail -n all p-team1-box/g/box")
	out := new(testenv.Buffer)
	tail.Stdout = out
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tail.Process.Kill(); tail.Wait() })
	testenv.Eventually(t, "tail prints all lines", func() bool {
		return strings.ReplaceAll(out.String(), "err\n",
			"") == all.String()
	})
	g.limitToken(t, "list-jobs", "read-job")
	var stderr bytes.Buffer
	logs := g.SSH("wim", "logs -n all p-team1-box/g/box")
	logs.Stderr = &stderr
	if out, err := logs.Output(); len(out) == 0 || err != nil ||
		!strings.Contains(stderr.String(), "Nomad's log files cannot be used: ") ||
		!strings.Contains(stderr.String(), "read-logs") {
		t.Errorf("without read-logs: got %d bytes, %v, %q", len(out), err, stderr.String())
	}
}

// limitToken replaces the gateway's token with one that has only these capabilities.
func (b boxTask) limitToken(t *testing.T, capabilities ...string) {
	t.Helper()
	b.cluster.AddToken("few", nomadsim.Rights{Namespaces: map[string][]string{"*": capabilities}})
	if err := os.WriteFile(b.Dir.Path("token"), []byte("few"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLogs_OrderOfOutputs checks that stdout and stderr are in the order in which the program wrote them.
func TestLogs_OrderOfOutputs(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	g := dockerBox(t)
	dockertest.Wait(t, g.startContainer(t, "for i in 1 2 3; do echo out $i; sleep 0.2; echo err $i >&2; sleep 0.2; done"))
	const want = "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"
	for _, line := range []string{"logs", "logs -n all", "logs --grep ."} {
		if out, err := g.SSH("wim", line+" p-team1-box/g/box").CombinedOutput(); string(out) != want || err != nil {
			t.Errorf("%s: got %q, %v", line, out, err)
		}
	}
	split := g.SSH("wim", "logs --split p-team1-box/g/box")
	var stderr bytes.Buffer
	split.Stderr = &stderr
	if out, err := split.Output(); string(out) != "out 1\nout 2\nout 3\n" ||
		stderr.String() != "err 1\nerr 2\nerr 3\n" || err != nil {
		t.Errorf("--split: got %q, %q, %v", out, stderr.String(), err)
	}
}

// TestLogs_JobIsMergedByTime uses two tasks that write in turn.
func TestLogs_JobIsMergedByTime(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	host := dockertest.Daemon(t)
	cluster := nomadtest.Simulated(t)
	a, b, c := newAllocation(), newAllocation(), newAllocation()
	cluster.Sim.AddJob(nomadsim.Job{ID: "p-team1-turns", Groups: []nomadsim.Group{{
		Name: "g", Tasks: []nomadsim.Task{{Name: "box", Driver: "docker"}}, Count: 3,
		Allocations: []nomadsim.Allocation{{ID: a, Node: "node-1"}, {ID: b, Node: "node-1"}, {ID: c, Node: "node-1"}},
	}}})
	cluster.Sim.Log(c, "box", "stdout", []byte("without times\n")) // has no container
	for i, allocation := range []string{a, b} {
		const format = "[ %[1]d = 1 ] && sleep 0.3; for i in 1 2 3 4; do echo %[1]d $i; sleep 0.6; done; exec sleep 600"
		script := fmt.Sprintf(format, i)
		dockertest.RunTask(t, cluster.Sim, allocation, "box", docker.Config{Cmd: []string{"sh", "-c", script}})
	}
	g := gatewaytest.Start(t, cluster.URL, fmt.Sprintf("docker.host = %q\n", host))
	stamp := regexp.MustCompile(`(?m)\| (20\S+Z) `)
	testenv.Eventually(t, "all lines are written", func() bool {
		_, out, _ := g.Run("wim", "logs p-team1-turns")
		return strings.Contains(out, "0 4\n") && strings.Contains(out, "1 4\n")
	})
	out, err := g.SSH("wim", "logs p-team1-turns").Output()
	if err != nil || strings.Count(string(out), "\n") != 9 ||
		!strings.HasSuffix(string(out), "g[2]/box | without times\n") {
		t.Errorf("got %v, %s", err, out)
	}
	// The log of the third task has no times, so its line is printed without one.
	timed, err := g.SSH("wim", "logs -t p-team1-turns").Output()
	if err != nil || !strings.HasSuffix(string(timed), "g[2]/box | without times\n") {
		t.Errorf("-t: got %v, %s", err, timed)
	}
	var times []string
	for _, m := range stamp.FindAllStringSubmatch(string(timed), -1) {
		times = append(times, m[1])
	}
	if len(times) != 8 || !slices.IsSorted(times) {
		t.Errorf("the times are not sorted: %s", timed)
	}
	tail, followed := g.SSH("wim", "tail p-team1-turns"), new(testenv.Buffer)
	tail.Stdout = followed
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	defer tail.Wait()
	defer tail.Process.Kill()
	testenv.Eventually(t, "tail prints all lines", func() bool { return strings.Count(followed.String(), "\n") == 9 })
	if followed.String() != string(out) {
		t.Errorf("tail: got %s, want %s", followed, out)
	}
}

// TestLogs_PreviousRun reads what the task wrote before its current container.
func TestLogs_PreviousRun(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	g := dockerBox(t)
	g.cluster.Log(g.allocation, "box", "stdout", []byte("first run\n"))
	container := g.startContainer(t, "echo second run; exec sleep 600")
	testenv.Eventually(t, "the second run has written", func() bool { return dockerLog(t, container) != "" })
	code, _, stderr := g.Run("wim", "logs --previous p-team1-box/g/box")
	if code != 1 || !strings.Contains(stderr, "no earlier allocation") {
		t.Errorf("without a restart: got %d, %q", code, stderr)
	}
	job := boxJob(nomadsim.Task{Name: "box", Driver: "docker"}, g.allocation)
	job.Groups[0].Allocations[0].Tasks = map[string]nomadsim.TaskState{"box": {State: "running", Restarts: 1}}
	g.cluster.AddJob(job)
	if code, out, stderr := g.Run("wim", "logs --previous p-team1-box/g/box"); code != 0 ||
		out != "first run\n" {
		t.Errorf("after one: got %d, %q, %q", code, out, stderr)
	}
	if code, _, stderr := g.Run("wim", "logs --previous-allocation p-team1-box/g/box"); code != 1 ||
		!strings.Contains(stderr, "no earlier allocation") {
		t.Errorf("the allocation before: got %d, %q", code, stderr)
	}
}

// TestLogs_DriverWithoutLogs uses a log driver that stores nothing. logs and tail must fail with the reason.
func TestLogs_DriverWithoutLogs(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	g := dockerBox(t, "none")
	g.startContainer(t, "exec sleep 600")
	for _, line := range []string{"logs", "tail"} {
		if code, out, stderr := g.Run("wim", line+" p-team1-box/g/box"); code != 1 || out != "" ||
			!strings.Contains(stderr, "log driver none does not support reading") {
			t.Errorf("%s: got %d, %q, %q", line, code, out, stderr)
		}
	}
}
