package nomadsim

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/nomadsim/store"
)

// send sends a write request to the handler without a connection.
func send(c *Cluster, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, req)
	return w
}

// sleeper returns a service with one group "g" and a task "t". It has a process only if it is registered with a
// token.
func sleeper(id string, count int, change ...func(j *api.Job)) *api.Job {
	j := api.NewServiceJob(id, id, "global", 50)
	task := api.NewTask("t", "raw_exec").SetConfig("command", "/bin/sh").SetConfig("args", []string{"-c", sleepScript})
	j.AddTaskGroup(api.NewTaskGroup("g", count).AddTask(task))
	for _, c := range change {
		c(j)
	}
	return j
}

func setEnv(k, v string) func(j *api.Job) {
	return func(j *api.Job) { j.TaskGroups[0].Tasks[0].Env = map[string]string{k: v} }
}

func setUpdate(u api.UpdateStrategy) func(j *api.Job) {
	return func(j *api.Job) { j.TaskGroups[0].Update = &u }
}

func noRestarts(j *api.Job) {
	none, never := 0, time.Hour
	j.TaskGroups[0].RestartPolicy = &api.RestartPolicy{Attempts: &none}
	j.TaskGroups[0].ReschedulePolicy = &api.ReschedulePolicy{Delay: &never, Attempts: &none, Unlimited: new(false)}
}

// fastCluster is a cluster with one node and short steps, and a client for it.
func fastCluster(t *testing.T, secret string) (*Cluster, *api.Client) {
	t.Helper()
	c := New()
	c.SetStepInterval(5 * time.Millisecond)
	c.AddNode(Node{Name: "node-1", Drivers: []string{"docker", "raw_exec"}})
	if secret != "" {
		c.AddToken(secret, Rights{Management: true})
		c.AddToken("", Rights{Management: true}) // for tests that read logs
	}
	return c, dial(t, c, secret)
}

func registerAndWait(t *testing.T, n *api.Client, c *Cluster, j *api.Job) *api.JobRegisterResponse {
	t.Helper()
	r, _, err := n.Jobs().Register(j, nil)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, *j.ID+" is idle", func() bool { return c.Idle("default", *j.ID) })
	return r
}

// jobRecord returns the record of a job.
func jobRecord(c *Cluster, id string) (j *store.Job) {
	c.store.View(func(st *store.State) { j = st.Job("default", id) })
	return j
}

// allocationLines returns the names, versions and statuses of a job's allocations that should run.
func allocationLines(t *testing.T, n *api.Client, job string) (all []string) {
	t.Helper()
	rows, _, err := n.Jobs().Allocations(job, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range rows {
		if a.DesiredStatus == "run" {
			all = append(all, fmt.Sprintf("%s v%d %s", a.Name, a.JobVersion, a.ClientStatus))
		}
	}
	slices.Sort(all)
	return all
}

func TestRegister_StartsJob(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	r := registerAndWait(t, n, c, sleeper("web", 2))
	wantList(t, "allocations", allocationLines(t, n, "web"), []string{"web.g[0] v0 running", "web.g[1] v0 running"})
	j, _, err := n.Jobs().Info("web", nil)
	if err != nil || *j.Status != "running" || !*j.Stable || *j.JobModifyIndex != r.JobModifyIndex {
		t.Errorf("job: got %+v, %v, want it running and stable", j, err)
	}
	d, _, err := n.Jobs().LatestDeployment("web", nil)
	if err != nil || d.Status != "successful" || d.TaskGroups["g"].HealthyAllocs != 2 {
		t.Errorf("deployment: got %+v, %v, want it successful with 2 healthy", d, err)
	}
	e, _, err := n.Evaluations().Info(r.EvalID, nil)
	if err != nil || e.Status != "complete" || e.TriggeredBy != "job-register" {
		t.Errorf("evaluation: got %+v, %v, want it complete", e, err)
	}
	if again := registerAndWait(t, n, c, sleeper("web", 2)); again.JobModifyIndex != *j.ModifyIndex {
		t.Errorf("the same job again: got index %d, want still %d", again.JobModifyIndex, *j.ModifyIndex)
	}
	if j, _, _ := n.Jobs().Info("web", nil); *j.Version != 0 {
		t.Errorf("the same job again: got version %d, want 0", *j.Version)
	}
}

func TestRegister_EnforceIndex(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	enforce := func(index uint64) error {
		_, _, err := n.Jobs().EnforceRegister(sleeper("web", 1), index, nil)
		return err
	}
	wantStatus(t, enforce(7), 500, "Enforcing job modify index 7: job does not exist")
	if err := enforce(0); err != nil {
		t.Fatal(err)
	}
	index := jobRecord(c, "web").JobModifyIndex
	wantStatus(t, enforce(0), 500, "Enforcing job modify index 0: job already exists")
	wantStatus(t, enforce(index+1), 500,
		fmt.Sprintf("Enforcing job modify index %d: job exists with conflicting job modify index: %d", index+1, index))
}

func TestRegister_RestartsFromDefinition(t *testing.T) {
	t.Parallel()
	c := New()
	defer c.Close()
	const job = `{"ID":"web","Name":"web","Type":"service","Later":{"Than":"this client","N":12345678901234567890},` +
		`"TaskGroups":[{"Name":"g","Count":2,"New":[1,2],` +
		`"Tasks":[{"Name":"t","Driver":"docker","Config":{"image":"web:1","ports":["http"]},"Odd":true}]}]}`
	idle := func() { waitUntil(t, "it is idle", func() bool { return c.Idle("default", "web") }) }
	if w := send(c, "POST", "/v1/jobs", `{"Job":`+job+`}`); w.Code != 200 {
		t.Fatalf("register: got %d %s", w.Code, w.Body)
	}
	idle()
	first := decode[map[string]any](t, get(c, "/v1/job/web"))
	group := first["TaskGroups"].([]any)[0].(map[string]any)
	if !strings.Contains(get(c, "/v1/job/web").Body.String(), `"N":12345678901234567890`) || group["New"] == nil ||
		group["Tasks"].([]any)[0].(map[string]any)["Odd"] != true {
		t.Errorf("definition: got %v, want unknown fields kept", first)
	}
	if w := send(c, "DELETE", "/v1/job/web", ""); w.Code != 200 {
		t.Fatalf("stop: got %d %s", w.Code, w.Body)
	}
	idle()
	stopped := decode[map[string]any](t, get(c, "/v1/job/web"))
	if stopped["Status"] != "dead" || stopped["Stop"] != true || stopped["Version"] != 1.0 {
		t.Errorf("stopped: got %v, %v, version %v, want it dead and a new version", stopped["Status"], stopped["Stop"],
			stopped["Version"])
	}
	raw := strings.Replace(get(c, "/v1/job/web").Body.String(), `"Stop":true`, `"Stop":false`, 1)
	body := fmt.Sprintf(`{"EnforceIndex":true,"JobModifyIndex":%.0f,"Job":%s}`, stopped["JobModifyIndex"], raw)
	if w := send(c, "PUT", "/v1/job/web", body); w.Code != 200 {
		t.Fatalf("start: got %d %s", w.Code, w.Body)
	}
	idle()
	j := jobRecord(c, "web")
	if a, b := fmt.Sprint(j.FindVersion(0).NormalizedSpec()), fmt.Sprint(j.NormalizedSpec()); a != b || j.Version != 2 ||
		j.Status != "running" {
		t.Errorf("started: got version %d, %s, %s, want version 2 running as\n%s", j.Version, j.Status, b, a)
	}
}

func TestScale_KeepsRunningAllocations(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 2, func(j *api.Job) {
		j.TaskGroups[0].Scaling = &api.ScalingPolicy{Min: new(int64(1)), Max: new(int64(3))}
	}))
	before := c.Allocations("default", "web")
	scale := func(count int) error {
		_, _, err := n.Jobs().Scale("web", "g", &count, "because", false, nil, nil)
		return err
	}
	wantStatus(t, scale(9), 400, "group count was greater than scaling policy maximum: 9 > 3")
	wantStatus(t, scale(0), 400, "group count was less than scaling policy minimum: 0 < 1")
	if err := scale(3); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it is scaled", func() bool { return c.Idle("default", "web") })
	wantList(t, "up", allocationLines(t, n, "web"),
		[]string{"web.g[0] v1 running", "web.g[1] v1 running", "web.g[2] v1 running"})
	for _, id := range before {
		if !slices.Contains(c.Allocations("default", "web"), id) || c.statusOf(id) != "running" {
			t.Errorf("allocation %s: got it stopped, want it running", id)
		}
	}
	if err := scale(1); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it is scaled", func() bool { return c.Idle("default", "web") })
	wantList(t, "down", allocationLines(t, n, "web"), []string{"web.g[0] v2 running"})
	s, _, err := n.Jobs().ScaleStatus("web", nil)
	if err != nil || s.TaskGroups["g"].Desired != 1 || len(s.TaskGroups["g"].Events) != 2 ||
		s.TaskGroups["g"].Events[0].PreviousCount != 3 {
		t.Errorf("status: got %+v, %v, want 1 desired and two events", s, err)
	}
}

func TestPurge_LeavesAllocations(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 1))
	id := c.Allocations("default", "web")[0]
	if _, _, err := n.Jobs().Deregister("web", true, nil); err != nil {
		t.Fatal(err)
	}
	_, _, err := n.Jobs().Info("web", nil)
	wantStatus(t, err, 404, "job not found")
	if a := waitForStatus(t, n, id, "complete"); a.DesiredDescription != "alloc not needed due to job update" {
		t.Errorf("allocation: got %q, want it not needed", a.DesiredDescription)
	}
	registerAndWait(t, n, c, sleeper("web", 1))
	wantList(t, "allocations", allocationLines(t, n, "web"), []string{"web.g[0] v0 running"})
	if r, _, err := n.Jobs().Deregister("nope", false, nil); err != nil || r != "" {
		t.Errorf("stop of no job: got %q, %v, want no change", r, err)
	}
}
