package nomadsim

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/nomadsim/jobspec"
)

func TestRead_BadQueries(t *testing.T) {
	c := mixedCluster()
	const id = "/v1/allocation/00000000-0000-0000-0000-00000000000"
	for _, test := range []struct {
		path   string
		status int
		want   string
	}{
		{
			"/v1/jobs?filter=Bogus+==+1", 400,
			"failed to read result page: error finding value in datum: " +
				`/Bogus at part 0: couldn't find key: struct field with name "Bogus"`,
		},
		{
			"/v1/allocations?filter=JobType+==+batch", 400,
			"failed to read result page: error finding value in datum: " +
				`/JobType at part 0: couldn't find key: struct field with name "JobType"`,
		},
		{"/v1/jobs?namespace=empty&filter=Bogus+==+1", 200, "[]"},
		{
			"/v1/jobs?filter=ID+matches+%22(%22", 400,
			"failed to read result page: failed to compile regular expression \"(\": error parsing regexp: missing closing " +
				"): `(`",
		},
		{"/v1/jobs?per_page=x", 400, "Expect a number for `per_page` query string parameter"},
		{"/v1/jobs?index=x", 400, "Invalid index"},
		{"/v1/jobs?wait=x", 400, "Invalid wait time"},
		{"/v1/jobs?stale=x", 400, "Expect `true` or `false` for `stale` query string parameter"},
		{"/v1/allocations?prefix=abc", 500, "alloc lookup failed: Input (without hyphens) must be even length"},
		{"/v1/allocations?prefix=zz", 500, "alloc lookup failed: Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"},
		{
			"/v1/evaluations?status=blocked&filter=ID+==+1", 400,
			"Filter expression cannot be used with other filter parameters",
		},
		{id, 500, "alloc lookup failed: index error: UUID must be 36 characters"},
		{id + "0/x/y", 404, "resource not found"},
		{"/v1/client" + id[3:] + "0/stats", 404, `Unknown allocation "00000000-0000-0000-0000-000000000000"`},
		{"/v1/nothing", 404, ""},
		{"/v1/job/nope/summary", 404, "job not found"},
		{"/v1/job/nope/versions", 404, "job versions not found"},
		{
			"/v1/job/p-team1-web/versions?diffs=x", 500,
			`Failed to parse value of "diffs" (x) as a bool: strconv.ParseBool: parsing "x": invalid syntax`,
		},
		{"/v1/node/abc", 500, "node lookup failed: index error: UUID must be 36 characters"},
		{"/v1/job/nope/deployment", 200, "null"},
		{"/v1/job/nope/evaluations", 200, "[]"},
	} {
		if w := get(c, test.path); w.Code != test.status || w.Body.String() != test.want {
			t.Errorf("%s: got %d %q, want %d %q", test.path, w.Code, w.Body, test.status, test.want)
		}
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest("DELETE", "/v1/allocations", nil))
	if w.Code != 405 || w.Body.String() != "Invalid method" {
		t.Errorf("DELETE: got %d %q, want 405 Invalid method", w.Code, w.Body)
	}
}

// TestRead_JobIDWithSlash checks raw responses, because the client sorts lists.
func TestRead_JobIDWithSlash(t *testing.T) {
	c := New()
	c.AddJob(Job{ID: "p-sync", Type: "batch", Periodic: &Periodic{Spec: "* * * * *"}})
	c.AddJob(Job{ID: "p-sync/periodic-1", ParentID: "p-sync", Type: "batch"})
	c.AddJob(Job{
		ID: "p-sync/periodic-2", ParentID: "p-sync", Groups: []Group{{Allocations: []Allocation{{ClientStatus: "complete"}}}},
	})
	n := dial(t, c, "")
	j, _, err := n.Jobs().Info("p-sync/periodic-1", nil)
	if err != nil || *j.ID != "p-sync/periodic-1" || *j.ParentID != "p-sync" || *j.Status != "running" {
		t.Errorf("job: got %+v, %v, want the child", j, err)
	}
	for _, path := range []string{"/v1/job/p-sync%2Fperiodic-1/allocations", "/v1/job/p-sync/periodic-1/allocations"} {
		if w := get(c, path); w.Code != 200 || !strings.Contains(w.Body.String(), `"JobID":"p-sync/periodic-1"`) {
			t.Errorf("%s: got %d %.80s, want the allocation", path, w.Code, w.Body)
		}
	}
	parent, _, err := n.Jobs().Summary("p-sync", nil)
	if err != nil || *parent.Children != (api.JobChildrenSummary{Running: 1, Dead: 1}) {
		t.Errorf("children: got %+v, %v, want one running, one dead", parent, err)
	}
	if got := get(c, "/v1/job/a//b").Code; got != http.StatusMovedPermanently && got != http.StatusTemporaryRedirect {
		t.Errorf("unclean path: got %d, want a redirect", got)
	}
}

func TestAllocations_OptionalFields(t *testing.T) {
	n := dial(t, mixedCluster(), "")
	for _, test := range []struct {
		params            map[string]string
		states, Resources bool
	}{
		{nil, true, false},
		{map[string]string{"task_states": "false"}, false, false},
		{map[string]string{"resources": "true"}, true, true},
	} {
		allocs, _, err := n.Allocations().List(&api.QueryOptions{Params: test.params})
		if err != nil || len(allocs) == 0 {
			t.Fatalf("allocations: got %d, %v", len(allocs), err)
		}
		if states, res := allocs[0].TaskStates != nil, allocs[0].AllocatedResources != nil; states != test.states ||
			res != test.Resources {
			t.Errorf("%v: got states %v, resources %v, want %v, %v", test.params, states, res, test.states, test.Resources)
		}
	}
}

func TestAddJob_ReplacesJob(t *testing.T) {
	c := mixedCluster()
	n := dial(t, c, "")
	web := func() *api.AllocationListStub {
		allocs, _, err := n.Jobs().Allocations("p-team1-web", true, nil)
		if err != nil || len(allocs) != 1 {
			t.Fatalf("allocations: got %d, %v, want 1", len(allocs), err)
		}
		return allocs[0]
	}
	before := web()
	c.AddJob(Job{ID: "p-team1-web", Version: 1, Groups: []Group{{Allocations: []Allocation{{ClientStatus: "failed"}}}}})
	after := web()
	if after.ID != before.ID || after.CreateIndex != before.CreateIndex || after.ModifyIndex <= before.ModifyIndex {
		t.Errorf("allocation: got %s %d %d, want %s %d and more than %d", after.ID, after.CreateIndex, after.ModifyIndex,
			before.ID, before.CreateIndex, before.ModifyIndex)
	}
	if after.ClientStatus != "failed" || after.JobVersion != 1 {
		t.Errorf("allocation: got %s of version %d, want failed of 1", after.ClientStatus, after.JobVersion)
	}
	d, _, err := n.Jobs().LatestDeployment("p-team1-web", nil)
	if err != nil || d != nil {
		t.Errorf("deployment: got %v, %v, want none", d, err)
	}
	c.Purge("default", "p-team1-web")
	_, _, err = n.Jobs().Info("p-team1-web", nil)
	wantStatus(t, err, 404, "job not found")
	if got := get(c, "/v1/allocation/"+before.ID).Code; got != 404 {
		t.Errorf("purged allocation: got %d, want 404", got)
	}
}

func TestAddJob_UnplacedGroupIsBlocked(t *testing.T) {
	c := New()
	for i := range 3 {
		c.AddNode(Node{Name: fmt.Sprintf("t-node-%d", i+1)})
	}
	c.AddJob(Job{ID: "t-team1-batch", Type: "batch", Groups: []Group{
		{Name: "windows", Unplaced: &Unplaced{ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 3}}},
		{Name: "memory", Tasks: []Task{{Name: "memory", Memory: 65536}}, Unplaced: &Unplaced{
			Queued: 2, DimensionExhausted: map[string]int{"memory": 3},
		}},
	}})
	n := dial(t, c, "")
	evals, _, err := n.Evaluations().List(&api.QueryOptions{
		Params: map[string]string{"job": "t-team1-batch", "status": "blocked"},
	})
	if err != nil || len(evals) != 1 {
		t.Fatalf("blocked evaluations: got %d, %v, want 1", len(evals), err)
	}
	windows, memory := evals[0].FailedTGAllocs["windows"], evals[0].FailedTGAllocs["memory"]
	if windows.NodesFiltered != 3 || windows.ConstraintFiltered["${attr.kernel.name} = windows"] != 3 {
		t.Errorf("windows: got %+v, want 3 nodes filtered", windows)
	}
	if memory.NodesExhausted != 3 || memory.DimensionExhausted["memory"] != 3 {
		t.Errorf("memory: got %+v, want 3 nodes exhausted", memory)
	}
	s, _, err := n.Jobs().Summary("t-team1-batch", nil)
	if err != nil || s.Summary["windows"].Queued != 1 || s.Summary["memory"].Queued != 2 {
		t.Errorf("summary: got %+v, %v, want 1 and 2 queued", s, err)
	}
	j, _, err := n.Jobs().Info("t-team1-batch", nil)
	if err != nil || *j.Status != "pending" {
		t.Errorf("job: got %v, %v, want pending", j.Status, err)
	}
}

func TestRead_Gzip(t *testing.T) {
	c := bigCluster(20)
	n := dial(t, c, "")
	if _, _, err := n.Allocations().List(nil); err != nil {
		t.Fatal(err)
	}
	zipped := c.Traffic("/v1/allocations")
	plain := get(c, "/v1/allocations")
	if plain.Header().Get("Content-Encoding") != "" || zipped.Bytes*10 > int64(plain.Body.Len()) {
		t.Errorf("got %d bytes compressed, %d plain, want less than a tenth", zipped.Bytes, plain.Body.Len())
	}
	if w := get(c, "/v1/nothing", "Accept-Encoding", "br, gzip"); w.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("encoding of a 404: got %q, want gzip, as Nomad does", w.Header().Get("Content-Encoding"))
	}
	want := Traffic{Requests: 2, Bytes: zipped.Bytes + int64(plain.Body.Len())}
	if got := c.Traffic("/v1/allocations"); got != want {
		t.Errorf("traffic: got %+v, want %+v", got, want)
	}
	if got := c.Traffic("").Requests; got != 3 {
		t.Errorf("requests in all: got %d, want 3", got)
	}
	c.ResetTraffic()
	if got := c.Traffic(""); got != (Traffic{}) {
		t.Errorf("traffic after the reset: got %+v, want none", got)
	}
}

func TestRead_Pretty(t *testing.T) {
	raw, _ := io.ReadAll(get(mixedCluster(), "/v1/status/leader?pretty").Body)
	if got, want := string(raw), "\"127.0.0.1:4647\"\n"; got != want {
		t.Errorf("leader: got %q, want %q", got, want)
	}
	got := get(mixedCluster(), "/v1/namespaces?pretty=1").Body.String()
	if !strings.HasPrefix(got, "[\n    {\n        \"Name\"") {
		t.Errorf("namespaces: got %.40q, want four spaces a level", got)
	}
}

func TestTaskState_RetainsTenEvents(t *testing.T) {
	at := time.Now()
	events := []Event{jobspec.Received(at), jobspec.TaskSetup(at), jobspec.Started(at)}
	for range 4 {
		events = append(events, jobspec.OOMKilled(at), jobspec.Restarting(at, time.Second), jobspec.Started(at))
	}
	c := New()
	c.AddJob(Job{
		ID: "p-oom", Groups: []Group{{Allocations: []Allocation{{Tasks: map[string]TaskState{"main": {Events: events}}}}}},
	})
	allocs, _, err := dial(t, c, "").Allocations().List(nil)
	if err != nil || len(allocs) != 1 {
		t.Fatalf("allocations: got %d, %v, want 1", len(allocs), err)
	}
	got := allocs[0].TaskStates["main"]
	if len(got.Events) != 10 || got.Events[0].Type != "Started" || got.Restarts != 4 {
		t.Errorf("got %d events from %s, %d restarts, want 10 from Started, 4", len(got.Events), got.Events[0].Type,
			got.Restarts)
	}
}
