package nomadsim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// shell returns a raw_exec task that runs a script.
func shell(name, script string) Task {
	return Task{Name: name, Driver: "raw_exec", Command: []string{"/bin/sh", "-c", script}}
}

// sleepScript prints its process ID and sleeps.
const sleepScript = "echo $$; exec sleep 600"

// waitUntil waits until check returns true.
func waitUntil(t *testing.T, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !check(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

func logOf(c *Cluster, allocation, task, stream string) string {
	return get(c, "/v1/client/fs/logs/"+allocation+"?plain=true&task="+task+"&type="+stream).Body.String()
}

// lastPID returns the process ID that a task with sleepScript has printed last.
func lastPID(t *testing.T, c *Cluster, allocation, task string) (pid int) {
	t.Helper()
	waitUntil(t, "the process has written its ID", func() bool {
		lines := strings.Fields(logOf(c, allocation, task, "stdout"))
		if len(lines) > 0 {
			pid, _ = strconv.Atoi(lines[len(lines)-1])
		}
		return pid > 1
	})
	return pid
}

// alive reports whether a process is running. A zombie is not.
func alive(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return syscall.Kill(pid, 0) == nil && !strings.Contains(string(stat), ") Z ")
}

// waitForStatus waits in blocking queries until an allocation has this status, and returns the allocation.
func waitForStatus(t *testing.T, n *api.Client, id, status string) *api.Allocation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for index := uint64(0); ; {
		a, meta, err := n.Allocations().Info(id, (&api.QueryOptions{WaitIndex: index, Namespace: "*"}).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if a.ClientStatus == status {
			return a
		}
		index = meta.LastIndex
	}
}

func eventTypes(s *api.TaskState) (types []string) {
	for _, e := range s.Events {
		types = append(types, e.Type)
	}
	return types
}

func TestTask_RestartPolicy(t *testing.T) {
	t.Parallel()
	c := New()
	n := dial(t, c, "")
	g := Group{
		Name: "g", Tasks: []Task{shell("crash", "echo attempt; exit 7")},
		Restart: &Restart{Attempts: 1, Interval: time.Hour, Delay: 10 * time.Millisecond},
	}
	c.AddJob(Job{ID: "crash", Groups: []Group{g}})
	id := c.Allocations("default", "crash")[0]
	a := waitForStatus(t, n, id, "failed")
	s := a.TaskStates["crash"]
	wantList(t, "events", eventTypes(s),
		[]string{"Received", "Task Setup", "Started", "Terminated", "Restarting", "Started", "Terminated", "Not Restarting"})
	if s.State != "dead" || !s.Failed || s.Restarts != 1 || s.LastRestart.IsZero() || s.FinishedAt.IsZero() {
		t.Errorf("state: got %+v, want it dead, failed and restarted once", s)
	}
	if e := s.Events[6]; e.DisplayMessage != "Exit Code: 7" || e.ExitCode != 7 {
		t.Errorf("event: got %+v, want exit code 7", e)
	}
	if want := `Exceeded allowed attempts 1 in interval 1h0m0s and mode is "fail"`; s.Events[7].DisplayMessage != want ||
		!s.Events[7].FailsTask {
		t.Errorf("event: got %+v, want %s", s.Events[7], want)
	}
	if got := logOf(c, id, "crash", "stdout"); got != "attempt\nattempt\n" {
		t.Errorf("log: got %q, want two attempts", got)
	}
	summary, _, err := n.Jobs().Summary("crash", nil)
	if err != nil || summary.Summary["g"].Failed != 1 || summary.Summary["g"].Running != 0 {
		t.Errorf("summary: got %+v, %v, want one failed", summary, err)
	}
	if j, _, err := n.Jobs().Info("crash", nil); err != nil || *j.Status != "dead" {
		t.Errorf("job: got %+v, %v, want it dead", j.Status, err)
	}
}

func TestTask_BatchSuccess(t *testing.T) {
	t.Parallel()
	c := New()
	n := dial(t, c, "")
	c.AddJob(Job{
		ID: "once", Type: "batch", Groups: []Group{{Tasks: []Task{shell("once", "echo hello; echo bye >&2; env >&2")}}},
	})
	id := c.Allocations("default", "once")[0]
	a := waitForStatus(t, n, id, "complete")
	s := a.TaskStates["once"]
	wantList(t, "events", eventTypes(s), []string{"Received", "Task Setup", "Started", "Terminated"})
	if s.Failed || s.Restarts != 0 || logOf(c, id, "once", "stdout") != "hello\n" {
		t.Errorf("got %+v and %q, want success and hello", s, logOf(c, id, "once", "stdout"))
	}
	env := logOf(c, id, "once", "stderr")
	for _, want := range []string{
		"bye\n", "NOMAD_ALLOC_ID=" + id, "NOMAD_TASK_NAME=once\n", "NOMAD_JOB_NAME=once\n", "PATH=", "HOME=",
	} {
		if !strings.Contains(env, want) {
			t.Errorf("stderr: got %q, want %q in it", env, want)
		}
	}
}

func TestTask_SignalAndSibling(t *testing.T) {
	t.Parallel()
	c := New()
	n := dial(t, c, "")
	sign := filepath.Join(t.TempDir(), "now")
	g := Group{
		Name: "g", Restart: &Restart{},
		Tasks: []Task{
			shell("killed", "until [ -e "+sign+" ]; do sleep 0.05; done; kill -9 $$"), shell("other", sleepScript),
			{Name: "described"},
		},
	}
	c.AddJob(Job{ID: "two", Groups: []Group{g}})
	id := c.Allocations("default", "two")[0]
	pid := lastPID(t, c, id, "other")
	if err := os.WriteFile(sign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := waitForStatus(t, n, id, "failed")
	killed, other := a.TaskStates["killed"], a.TaskStates["other"]
	if e := killed.Events[3]; e.DisplayMessage != "Exit Code: 137, Signal: 9" ||
		killed.Events[4].DisplayMessage != "Policy allows no restarts" {
		t.Errorf("killed: got %v, want signal 9 and no restarts", killed.Events)
	}
	wantList(t, "other", eventTypes(other),
		[]string{"Received", "Task Setup", "Started", "Sibling Task Failed", "Killing", "Terminated", "Killed"})
	if other.Failed || a.TaskStates["described"].State != "dead" {
		t.Errorf("got %+v and %+v, want them dead and not failed", other, a.TaskStates["described"])
	}
	waitUntil(t, "the sibling is killed", func() bool { return !alive(pid) })
}

func TestTask_StartFailure(t *testing.T) {
	c := New()
	n := dial(t, c, "")
	c.AddJob(Job{
		ID: "missing", Groups: []Group{{Tasks: []Task{{Name: "m", Driver: "raw_exec", Command: []string{"/nope"}}}}},
	})
	id := c.Allocations("default", "missing")[0]
	s := waitForStatus(t, n, id, "failed").TaskStates["m"]
	wantList(t, "events", eventTypes(s), []string{"Received", "Task Setup", "Driver Failure", "Not Restarting"})
	w := get(c, "/v1/client/fs/logs/"+id+"?task=m&type=stdout")
	if want := `task "m" not started yet. No logs available`; w.Code != 404 || w.Body.String() != want {
		t.Errorf("logs: got %d %s, want 404 %s", w.Code, w.Body, want)
	}
}

func TestAddJob_ProcessesFollowDescription(t *testing.T) {
	root := t.TempDir()
	t.Setenv("TMPDIR", root)
	c := New()
	defer c.Close()
	job := func(states ...string) Job {
		g := Group{Name: "g", Tasks: []Task{shell("t", sleepScript)}, Allocations: []Allocation{}}
		for _, s := range states {
			g.Allocations = append(g.Allocations, Allocation{ClientStatus: s})
		}
		return Job{ID: "j", Groups: []Group{g}}
	}
	c.AddJob(job("running", "running", "running"))
	ids := c.Allocations("default", "j")
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(nameOf(c, a), nameOf(c, b)) })
	var pids []int
	for _, id := range ids {
		pids = append(pids, lastPID(t, c, id, "t"))
	}
	wantAlive := func(what string, want ...bool) {
		t.Helper()
		for i, pid := range pids {
			if alive(pid) != want[i] {
				t.Errorf("%s: process %d: got alive %v, want %v", what, i, !want[i], want[i])
			}
		}
	}
	wantAlive("at first", true, true, true)
	c.AddJob(job("running", "failed"))
	wantAlive("one failed and one removed", true, false, false)
	c.AddJob(job("running"))
	if again := lastPID(t, c, ids[0], "t"); again != pids[0] {
		t.Errorf("got process %d, want it to be still %d", again, pids[0])
	}
	c.Purge("default", "j")
	wantAlive("purged", false, false, false)
	c.AddJob(job("running"))
	pids = []int{lastPID(t, c, ids[0], "t")}
	if got := logOf(c, ids[0], "t", "stdout"); got != fmt.Sprintln(pids[0]) {
		t.Errorf("log of the same allocation after a purge: got %q, want only %d", got, pids[0])
	}
	if all, err := os.ReadDir(root); err != nil || len(all) != 1 {
		t.Errorf("directories of the cluster: got %v, %v, want one", all, err)
	}
	c.Close()
	wantAlive("closed", false)
	if all, err := os.ReadDir(root); err != nil || len(all) != 0 {
		t.Errorf("directories of a closed cluster: got %v, %v, want none", all, err)
	}
	c.AddJob(job("running"))
	c.Log(ids[0], "t", "stdout", []byte("late\n"))
	if all, err := os.ReadDir(root); err != nil || len(all) != 0 {
		t.Errorf("directories after the close: got %v, %v, want none", all, err)
	}
}

func nameOf(c *Cluster, id string) string { return c.mustAllocation(id).Name }

func TestTask_KillsLeftoverProcesses(t *testing.T) {
	t.Parallel()
	c := New()
	defer c.Close()
	c.AddJob(Job{ID: "j", Type: "batch", Groups: []Group{{Tasks: []Task{shell("t", "sleep 601 & echo $!")}}}})
	pid := lastPID(t, c, c.Allocations("default", "j")[0], "t")
	waitUntil(t, "the child is killed", func() bool { return !alive(pid) })
}

func TestTask_SidecarStopsWithMain(t *testing.T) {
	t.Parallel()
	c := New()
	n := dial(t, c, "")
	side := shell("side", sleepScript)
	side.Sidecar = true
	c.AddJob(Job{ID: "j", Type: "batch", Groups: []Group{{Tasks: []Task{shell("main", "true"), side}}}})
	waitForStatus(t, n, c.Allocations("default", "j")[0], "complete")
}

// TestTask_Lifecycle runs tasks of all lifecycles. The main task of the batch job exits, and so do tasks without a
// command that are neither main tasks nor sidecars.
func TestTask_Lifecycle(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"service": "setup:dead proxy:running main:running warm:dead clean:pending",
		"batch":   "setup:dead proxy:dead main:dead warm:dead clean:dead",
	} {
		c, n := fastCluster(t, "root")
		j := sleeper("j", 1, func(j *api.Job) {
			j.Type = &kind
			g := j.TaskGroups[0]
			g.Tasks[0].Name = "main"
			if kind == "batch" {
				g.Tasks[0].SetConfig("args", []string{"-c", "true"})
			}
			for _, hook := range []struct{ name, hook string }{
				{"setup", "prestart"}, {"proxy", "prestart"}, {"warm", "poststart"}, {"clean", "poststop"},
			} {
				task := api.NewTask(hook.name, "raw_exec")
				task.Lifecycle = &api.TaskLifecycle{Hook: hook.hook, Sidecar: hook.name == "proxy"}
				g.Tasks = append(g.Tasks, task)
			}
		})
		registerAndWait(t, n, c, j)
		id := c.Allocations("default", "j")[0]
		got := ""
		waitUntil(t, kind+": the tasks are in their states", func() bool {
			var all []string
			for _, name := range []string{"setup", "proxy", "main", "warm", "clean"} {
				if s := c.mustAllocation(id).TaskStates[name]; s != nil {
					all = append(all, name+":"+s.State)
				}
			}
			got = strings.Join(all, " ")
			return got == want
		})
		a := c.mustAllocation(id)
		if a.TaskStates["main"].StartedAt.Before(*a.TaskStates["setup"].FinishedAt) {
			t.Errorf("%s: the main task has not waited for the prestart task", kind)
		}
		if a.TaskStates["warm"].StartedAt.Before(*a.TaskStates["main"].StartedAt) {
			t.Errorf("%s: the poststart task has not waited for the main task", kind)
		}
		if events := a.TaskStates["clean"].Events; kind == "service" && (len(events) != 1 || events[0].Type != "Received") {
			t.Errorf("poststop: got the events %+v, want only Received", events)
		}
	}
}
