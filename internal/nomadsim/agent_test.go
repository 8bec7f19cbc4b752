package nomadsim

import (
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestRestartAllocation_InPlace(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "root")
	registerAndWait(t, n, c, sleeper("web", 1, noRestarts))
	id := c.Allocations("default", "web")[0]
	first := lastPID(t, c, id, "t")
	a := &api.Allocation{ID: id}
	wantStatus(t, n.Allocations().Restart(a, "nope", nil), 500, "Could not find task runner for task: nope")
	if err := n.Allocations().Restart(a, "", nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "another process runs", func() bool { return lastPID(t, c, id, "t") != first })
	if alive(first) {
		t.Errorf("process %d: got it alive, want it ended", first)
	}
	info := waitForStatus(t, n, id, "running")
	s := info.TaskStates["t"]
	wantList(t, "events", eventTypes(s),
		[]string{"Received", "Task Setup", "Started", "Restart Signaled", "Terminated", "Restarting", "Started"})
	if s.Restarts != 1 || s.Events[3].DisplayMessage != "User requested running tasks to restart" {
		t.Errorf("state: got %+v, want one restart on request", s)
	}
	c.FailNext("default", "web", 1)
	if err := n.Allocations().Restart(a, "t", nil); err != nil {
		t.Fatal(err)
	}
	waitForStatus(t, n, id, "failed")
	wantStatus(t, n.Allocations().Restart(a, "", nil), 500, "restart of an alloc that should not run")
	wantStatus(t, n.Allocations().Restart(a, "t", nil), 500, "Task not running")
}

func TestStopAllocation_IsReplaced(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "root")
	registerAndWait(t, n, c, sleeper("web", 1))
	id := c.Allocations("default", "web")[0]
	pid := lastPID(t, c, id, "t")
	if _, err := n.Allocations().Stop(&api.Allocation{ID: id}, nil); err != nil {
		t.Fatal(err)
	}
	a := waitForStatus(t, n, id, "complete")
	if a.DesiredDescription != "alloc is being migrated" || a.NextAllocation == "" || alive(pid) {
		t.Errorf("stopped: got %q, next %q, alive %v, want it replaced and ended", a.DesiredDescription, a.NextAllocation,
			alive(pid))
	}
	wantList(t, "events", eventTypes(a.TaskStates["t"]),
		[]string{"Received", "Task Setup", "Started", "Killing", "Terminated", "Killed"})
	waitForStatus(t, n, a.NextAllocation, "running")
	if again := lastPID(t, c, a.NextAllocation, "t"); again == pid {
		t.Errorf("process: got %d again, want another", pid)
	}
}

func TestRegister_NoProcessWithoutToken(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 1))
	if n := len(c.processIDs("web")); n != 0 {
		t.Errorf("processes: got %d, want none without a token", n)
	}
}

func TestDispatch_RunsOneChild(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	c.AddJob(Job{ID: "cron", Type: "batch", Periodic: &Periodic{Spec: "0 5 29 2 *"}})
	c.AddJob(Job{
		ID: "import", Type: "batch", Parameterized: &Parameterized{Payload: "forbidden", MetaRequired: []string{"file"}},
	})
	_, _, err := n.Jobs().Dispatch("import", map[string]string{"file": "a"}, []byte("x"), "", nil)
	wantStatus(t, err, 500, "Payload provided but forbidden by parameterized job")
	_, _, err = n.Jobs().Dispatch("import", map[string]string{"file": "a", "z": "b"}, nil, "", nil)
	wantStatus(t, err, 500, "Dispatch request included unpermitted metadata keys: [z]")
	r, _, err := n.Jobs().Dispatch("import", map[string]string{"file": "a"}, nil, "", nil)
	if err != nil || !strings.HasPrefix(r.DispatchedJobID, "import/dispatch-") {
		t.Fatalf("dispatch: got %+v, %v, want a child", r, err)
	}
	if _, _, err := n.Jobs().PeriodicForce("cron", nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the children are done", func() bool {
		dead := 0
		for _, parent := range []string{"cron", "import"} {
			s, _, err := n.Jobs().Summary(parent, nil)
			if err == nil {
				dead += int(s.Children.Dead)
			}
		}
		return dead == 2
	})
	j, _, err := n.Jobs().Info(r.DispatchedJobID, nil)
	if err != nil || !j.Dispatched || *j.ParentID != "import" || j.Meta["file"] != "a" || *j.Status != "dead" {
		t.Errorf("child: got %+v, %v, want it dispatched with its meta, and dead", j, err)
	}
}
