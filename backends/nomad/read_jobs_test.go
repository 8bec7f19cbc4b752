package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/testenv/nomadtest"
)

// fakeLists is a Nomad with constant responses. Lists of some namespaces are forbidden.
type fakeLists struct {
	mu        sync.Mutex
	responses map[string]any // by path
	forbidden map[string]bool
	requests  []string
}

var statusFilter = regexp.MustCompile(`ClientStatus == "(\w+)"`)

func (l *fakeLists) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, r.URL.Path+" "+r.URL.Query().Get("namespace"))
	if l.forbidden[r.URL.Query().Get("namespace")] && r.URL.Path != "/v1/jobs" {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "Permission denied")
		return
	}
	response, known := l.responses[r.URL.Path]
	if !known {
		response = []any{}
	}
	if all, ok := response.([]map[string]any); ok {
		all = slices.Clone(all)
		if wanted := statusFilter.FindAllStringSubmatch(r.URL.Query().Get("filter"), -1); wanted != nil {
			all = slices.DeleteFunc(all, func(a map[string]any) bool {
				return !slices.ContainsFunc(wanted, func(m []string) bool { return m[1] == a["ClientStatus"] })
			})
		}
		if prefix := r.URL.Query().Get("prefix"); prefix != "" {
			all = slices.DeleteFunc(all, func(j map[string]any) bool { return !strings.HasPrefix(j["ID"].(string), prefix) })
		}
		response = all
	}
	json.NewEncoder(w).Encode(response)
}

func newFakeLists(t *testing.T, responses map[string]any) (*fakeLists, *Client) {
	t.Helper()
	l := &fakeLists{responses: responses, forbidden: map[string]bool{}}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	return l, open(t, Tier{URL: server.URL, TokenFile: token})
}

// recordedLost returns the lists of a real Nomad 2.0.6-dev after the node of two jobs was killed. Nomad placed
// p-lost on another node. It did not replace the allocation of p-ddisc, which has a disconnect block.
func recordedLost(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile("testdata/lost.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct{ Jobs, Allocations []map[string]any }
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"/v1/jobs": recorded.Jobs, "/v1/allocations": recorded.Allocations}
}

func TestJobs_LostAndUnknown(t *testing.T) {
	_, client := newFakeLists(t, recordedLost(t))
	for _, tc := range []struct {
		hidden bool
		want   []string // job, allocation status, the task's State and TaskState
	}{
		{false, []string{"p-ddisc unknown running unknown", "p-lost running running running"}},
		{true, []string{"p-ddisc unknown running unknown", "p-lost running running running", "p-lost lost running dead"}},
	} {
		jobs, err := client.Jobs(context.Background(), backends.Selection{IncludeHidden: tc.hidden})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, job := range jobs {
			for _, a := range job.Allocations {
				task := a.Tasks[0]
				got = append(got, fmt.Sprint(job.ID, " ", a.Status, " ", task.State, " ", a.TaskState(task)))
				if a.Status == "lost" && (a.Next == "" || !a.TaskFinishedAt(task).After(task.Started)) {
					t.Errorf("the lost task finished at %v, replaced by %q", a.TaskFinishedAt(task), a.Next)
				}
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("with hidden allocations %t: got %q, want %q", tc.hidden, got, tc.want)
		}
	}
}

func TestUsage_OnlyOfRunningAllocations(t *testing.T) {
	l, client := newFakeLists(t, recordedLost(t))
	jobs, err := client.Jobs(context.Background(), backends.Selection{IncludeHidden: true})
	if err != nil {
		t.Fatal(err)
	}
	l.requests = nil
	running := ""
	for _, job := range jobs {
		client.Usage(context.Background(), job.Allocations)
		client.Checks(context.Background(), job.Allocations)
		for _, a := range job.Allocations {
			if a.Status == "running" {
				running = a.ID
			}
		}
	}
	if len(l.requests) != 2 ||
		slices.ContainsFunc(l.requests, func(path string) bool { return !strings.Contains(path, running) }) {
		t.Errorf("got requests %q, want the statistics and checks of %s alone", l.requests, running)
	}
}

// jobStub returns a job of a list, with a summary that has drifted.
func jobStub(id, parent, status string, more map[string]any) map[string]any {
	job := map[string]any{
		"ID": id, "ParentID": parent, "Namespace": "default", "Status": status, "Type": "batch",
		"Datacenters": []string{"dc9"}, "JobModifyIndex": 7,
		"JobSummary": map[string]any{
			"Children": map[string]any{"Pending": -1, "Running": 4, "Dead": -3},
			"Summary":  map[string]any{"g": map[string]any{"Queued": -2, "Running": -1, "Failed": 5}},
		},
	}
	maps.Copy(job, more)
	return job
}

func TestJob_CountsChildren(t *testing.T) {
	parent := jobStub("p-import", "", "running", map[string]any{"ParameterizedJob": true})
	_, client := newFakeLists(t, map[string]any{
		"/v1/jobs": []map[string]any{
			parent,
			jobStub("p-import/dispatch-1", "p-import", "running", nil),
			jobStub("p-import/dispatch-2", "p-import", "dead", nil),
			jobStub("p-import/dispatch-3", "p-import", "dead", nil),
			jobStub("p-import/dispatch-4", "p-import", "pending", nil),
			jobStub("p-import/x", "", "running", nil), // another job whose ID starts with the parent's
			jobStub("p-import/x/dispatch-1", "p-import/x", "running", nil),
		},
		"/v1/job/p-import": map[string]any{
			"ID": "p-import", "Name": "p-import", "Type": "batch", "Namespace": "default",
			"ParameterizedJob": map[string]any{"Payload": "optional"},
			"TaskGroups":       []any{map[string]any{"Name": "g", "Count": 1}},
		},
		"/v1/job/p-import/summary":    parent["JobSummary"],
		"/v1/job/p-import/deployment": nil,
	})
	got, err := client.Job(context.Background(),
		backends.Job{Tier: "production", Namespace: "default", ID: "p-import", Parameterized: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.Children == nil || *got.Children != (backends.ChildCounts{Pending: 1, Running: 1, Dead: 2}) {
		t.Errorf("got %+v, want 1 pending, 1 running and 2 dead", got.Children)
	}
	if want := (backends.Counts{Failed: 5}); got.Counts != want || got.Groups[0].Counts != want {
		t.Errorf("counts: got %+v and %+v, want %+v", got.Counts, got.Groups[0].Counts, want)
	}
}

func TestJobs_IgnoresSummaryForQueued(t *testing.T) {
	recorded, err := os.ReadFile("testdata/blocked.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var evaluation map[string]any
	if err := json.Unmarshal(recorded[:slices.Index(recorded, '\n')], &evaluation); err != nil {
		t.Fatal(err)
	}
	evaluation["Namespace"], evaluation["CreateIndex"] = "default", 9
	_, client := newFakeLists(t, map[string]any{
		"/v1/jobs":        []map[string]any{jobStub("p-dc9", "", "pending", nil)},
		"/v1/evaluations": []map[string]any{evaluation},
	})
	jobs, err := client.Jobs(context.Background(), backends.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	if u := jobs[0].Unplaced; len(u) != 1 ||
		!slices.Equal(u[0].Reasons, []string{"no nodes in datacenter dc9 are ready"}) || jobs[0].Counts.Queued != 1 {
		t.Errorf("got %+v, %d queued", u, jobs[0].Counts.Queued)
	}
}

// TestJobs_RescheduleAt has a failed allocation that Nomad will replace, and one whose follow-up evaluation has
// finished.
func TestJobs_RescheduleAt(t *testing.T) {
	at := time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC)
	failed := func(name, evaluation string) map[string]any {
		return map[string]any{
			"ID": name, "Name": name, "Namespace": "default", "JobID": "p-a", "ClientStatus": "failed",
			"DesiredStatus": "run", "FollowupEvalID": evaluation,
		}
	}
	_, client := newFakeLists(t, map[string]any{
		"/v1/jobs":        []map[string]any{jobStub("p-a", "", "pending", nil)},
		"/v1/allocations": []map[string]any{failed("p-a.g[0]", "waits"), failed("p-a.g[1]", "finished")},
		"/v1/evaluations": []map[string]any{
			{"ID": "waits", "Namespace": "default", "JobID": "p-a", "Status": "pending", "WaitUntil": at},
			{"ID": "new", "Namespace": "default", "JobID": "p-a", "Status": "pending"},
		},
	})
	jobs, err := client.Jobs(context.Background(), backends.Selection{})
	if err != nil || len(jobs) != 1 || len(jobs[0].Allocations) != 2 || len(jobs[0].Unplaced) != 0 {
		t.Fatalf("got %+v, %v", jobs, err)
	}
	if a := jobs[0].Allocations; !a[0].RescheduleAt.Equal(at) || !a[1].RescheduleAt.IsZero() {
		t.Errorf("got %v and %v, want %v and none", a[0].RescheduleAt, a[1].RescheduleAt, at)
	}
}

func TestJob_CountsAllocations(t *testing.T) {
	a := func(group, status string) backends.Allocation {
		return backends.Allocation{Group: group, Status: status}
	}
	all := []backends.Allocation{
		a("g", "running"), a("g", "running"), a("g", "pending"), a("g", "unknown"),
		a("g", "lost"), a("g", "failed"), a("other", "running"),
	}
	drifted := backends.Counts{Queued: -1, Starting: 9, Running: -3, Failed: 0, Complete: 7, Lost: 3, Unknown: 2}
	got := mergeCounts(drifted, "g", all,
		[]backends.UnplacedGroup{{Group: "g", Count: 3}, {Group: "other", Count: 1}})
	if want := (backends.Counts{
		Queued: 3, Starting: 1, Running: 2, Failed: 1, Complete: 7, Lost: 3,
		Unknown: 1,
	}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestJobs_NamespaceThatCannotBeRead has a token that may list the jobs of a namespace but not read them. Nomad then
// silently omits their allocations from a list of all namespaces.
func TestJobs_NamespaceThatCannotBeRead(t *testing.T) {
	l, client := newFakeLists(t, map[string]any{
		"/v1/jobs": []map[string]any{
			jobStub("p-a", "", "running",
				map[string]any{
					"Namespace":  "secret",
					"JobSummary": map[string]any{"Summary": map[string]any{"g": map[string]any{"Running": 1}}},
				}),
			jobStub("p-b", "", "running", nil),
			jobStub("p-c", "", "dead", map[string]any{"Namespace": "idle"}),
		},
		"/v1/acl/token/self": map[string]any{},
	})
	l.forbidden = map[string]bool{"secret": true, "idle": true}
	jobs, err := client.Jobs(context.Background(), backends.Selection{})
	var namespace *backends.NamespaceError
	if len(jobs) != 3 || !errors.As(err, &namespace) || namespace.Namespace != "secret" ||
		!errors.Is(err, backends.ErrForbidden) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %d jobs and %v, want all 3 and that secret cannot be read", len(jobs), err)
	}
	l.forbidden = map[string]bool{}
	if jobs, err := client.Jobs(context.Background(), backends.Selection{}); len(jobs) != 3 || err != nil {
		t.Errorf("with permission: got %d jobs, %v", len(jobs), err)
	}
}

func TestSchedules_NamespaceThatCannotBeRead(t *testing.T) {
	l, client := newFakeLists(t, map[string]any{
		"/v1/job/p-b":        map[string]any{"ID": "p-b", "ParameterizedJob": map[string]any{"Payload": "required"}},
		"/v1/acl/token/self": map[string]any{},
	})
	l.forbidden = map[string]bool{"secret": true}
	jobs := []backends.Job{
		{Namespace: "secret", ID: "p-a", Parameterized: true},
		{Namespace: "default", ID: "p-b", Parameterized: true},
	}
	got, err := client.Schedules(context.Background(), jobs)
	var namespace *backends.NamespaceError
	if len(got) != 2 || got[1].Payload != "required" || !errors.As(err, &namespace) || namespace.Namespace != "secret" {
		t.Errorf("got %+v and %v, want the other's schedule and that secret cannot be read", got, err)
	}
}

// TestJob_EvaluationsFirst checks that the results of an evaluation are read after the evaluation. Otherwise a complete
// evaluation could be returned without the deployment that it created.
func TestJob_EvaluationsFirst(t *testing.T) {
	t.Parallel()
	cluster := nomadtest.Simulated(t)
	target, err := url.Parse(cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	var evaluated atomic.Bool
	proxy.ModifyResponse = func(r *http.Response) error {
		if path.Base(r.Request.URL.Path) == "evaluations" {
			evaluated.Store(true)
		}
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		if (name == "deployment" || name == "allocations" || name == "summary") && !evaluated.Load() {
			t.Errorf("%s was read before the evaluations", name)
		}
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	c := open(t, Tier{URL: server.URL, TokenFile: nomadtest.TokenFile(t)})
	if _, err := c.Job(t.Context(), backends.Job{ID: "p-team1-web", Namespace: "default"}); err != nil {
		t.Fatal(err)
	}
	if !evaluated.Load() {
		t.Error("the evaluations were not read")
	}
}
