package demo

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/nomadsim"
)

// dial starts the cluster and returns a client for it.
func dial(t *testing.T, c *nomadsim.Cluster) *api.Client {
	t.Helper()
	url, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	n, err := api.NewClient(&api.Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// get returns the response to a query.
func get(c *nomadsim.Cluster, path string) string {
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Body.String()
}

// readmeFlags returns the letters with which the original nomadctld summarizes an allocation.
func readmeFlags(a *api.AllocationListStub) string {
	var f []string
	if a.ClientStatus == "failed" {
		f = append(f, "F")
	}
	for _, s := range a.TaskStates {
		for _, e := range s.Events {
			switch {
			case e.Type == "Terminated" && strings.Contains(e.DisplayMessage, "OOM"):
				f = append(f, "O")
			case e.Type == "Terminated":
				f = append(f, "T")
			case e.Type == "Not Restarting":
				f = append(f, "NR")
			case e.Type == "Killing" && strings.Contains(e.DisplayMessage, "vault"):
				f = append(f, "KV")
			case e.Type == "Alloc Unhealthy":
				f = append(f, "U")
			}
		}
	}
	return strings.Join(f, ",")
}

func TestExamples_MatchReadme(t *testing.T) {
	now := time.Date(2018, 7, 12, 15, 46, 36, 0, time.UTC)
	for _, want := range []struct {
		tier, job, node string
		age             time.Duration
		cpu, rss, peak  float64 // MHz, MiB
		flags, deployed string
	}{
		{"quality", "q-lnx-mattermost", "q-node-10", 3 * week, 2, 34, 79, "", "successful"},
		{"production", "p-lnx-mattermost", "p-node-2", week, 4, 56, 201, "", "successful"},
		{"production", "p-lnx-helloworld2", "p-node-5", time.Hour, 0, 0, 0, "F,KV,U", "failed"},
		{"production", "p-es-iss-cluster1-frontend", "p-node-9", 14 * time.Hour, 4, 1900, 2048, "O,O,O", "successful"},
		{"quality", "q-fii-lamp", "q-node-11", day, 0, 39, 67, "U,T", "failed"},
		{"quality", "q-fii-monitoring-wmsmonitor", "q-node-11", 17 * time.Hour, 0, 22, 43, "T", "successful"},
	} {
		n := dial(t, exampleCluster(want.tier, now))
		allocs, _, err := n.Jobs().Allocations(want.job, true, nil)
		if err != nil || len(allocs) != 1 {
			t.Errorf("%s: got %d allocations, %v, want 1", want.job, len(allocs), err)
			continue
		}
		a := allocs[0]
		age := now.Sub(time.Unix(0, a.ModifyTime))
		if a.NodeName != want.node || age != want.age || readmeFlags(a) != want.flags {
			t.Errorf("%s: got %s, %v, %s, want %s, %v, %s", want.job, a.NodeName, age, readmeFlags(a), want.node, want.age,
				want.flags)
		}
		u, err := n.Allocations().Stats(&api.Allocation{ID: a.ID}, nil)
		if err != nil {
			t.Fatal(err)
		}
		cpu, m := math.Floor(u.ResourceUsage.CpuStats.TotalTicks), u.ResourceUsage.MemoryStats
		if cpu != want.cpu || float64(m.RSS/mib) != want.rss || float64(m.MaxUsage/mib) != want.peak {
			t.Errorf("%s: got %v, %d, %d, want %v, %v, %v", want.job, cpu, m.RSS/mib, m.MaxUsage/mib, want.cpu, want.rss,
				want.peak)
		}
		d, _, err := n.Jobs().LatestDeployment(want.job, nil)
		if err != nil || d == nil || d.Status != want.deployed {
			t.Errorf("%s: got deployment %v, %v, want %s", want.job, d, err, want.deployed)
		}
	}
}

func TestExamples_StableIDs(t *testing.T) {
	now := time.Now()
	for tier, jobs := range map[string]int{"production": 17, "quality": 4, "test": 5} {
		c := exampleCluster(tier, now)
		list, _, err := dial(t, c).Jobs().List(nil)
		if err != nil || len(list) != jobs {
			t.Errorf("%s: got %d jobs, %v, want %d", tier, len(list), err, jobs)
		}
		for _, j := range list {
			if !strings.HasPrefix(j.ID, tier[:1]+"-") {
				t.Errorf("%s: got job %s, want only %s-", tier, j.ID, tier[:1])
			}
		}
		const path = "/v1/allocations"
		if again := exampleCluster(tier, now); get(c, path) != get(again, path) {
			t.Errorf("%s: got other allocations the second time, want the same", tier)
		}
	}
}

func TestExamples_CoverEveryCommand(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	production, quality := dial(t, exampleCluster("production", now)), dial(t, exampleCluster("quality", now))
	d, _, err := production.Jobs().LatestDeployment("p-team1-api", nil)
	if err != nil || d.Status != "running" || d.TaskGroups["web"].HealthyAllocs != 2 ||
		d.TaskGroups["web"].DesiredTotal != 3 {
		t.Errorf("deployment of p-team1-api: got %+v, %v, want 2 of 3 healthy", d, err)
	}
	checks := func(n *api.Client, job string) map[string]int {
		allocs, _, err := n.Jobs().Allocations(job, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, a := range allocs {
			results, err := n.Allocations().Checks(a.ID, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range results {
				count[c.Check+" "+c.Status]++
			}
		}
		return count
	}
	want := map[string]int{"alive success": 2, "ready success": 2}
	if got := checks(production, "p-team1-web"); !maps.Equal(got, want) {
		t.Errorf("checks of p-team1-web: got %v, want %v", got, want)
	}
	want = map[string]int{"alive success": 1, "ready failure": 1}
	if got := checks(quality, "q-team1-web"); !maps.Equal(got, want) {
		t.Errorf("checks of q-team1-web: got %v, want %v", got, want)
	}
	allocs, _, err := quality.Jobs().Allocations("q-team1-web", false, nil)
	if err != nil || len(allocs) != 2 || allocs[0].NodeID == allocs[1].NodeID {
		t.Errorf("allocations of q-team1-web: got %v, %v, want two on two nodes", allocs, err)
	}
	last := map[string]string{}
	list, _, err := production.Allocations().List(&api.QueryOptions{Filter: `JobID contains "/"`})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b *api.AllocationListStub) int { return cmp.Compare(a.CreateTime, b.CreateTime) })
	for _, a := range list {
		parent, _, _ := strings.Cut(a.JobID, "/")
		last[parent] = a.ClientStatus
		if a.CreateTime > now.UnixNano() {
			t.Errorf("%s: started at %v, want it before %v", a.JobID, time.Unix(0, a.CreateTime), now)
		}
	}
	if want := (map[string]string{
		"p-es-log-curator": "complete", "p-iss-frontend-sync": "failed", "p-team1-import": "failed",
	}); !maps.Equal(last, want) {
		t.Errorf("last child jobs: got %v, want %v", last, want)
	}
}

// processCount returns the number of allocations of the cluster that have processes. It counts only children of the
// test, because another demo on the machine has the same allocation IDs.
func processCount(t *testing.T, list []*api.AllocationListStub) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(files) == 0 {
		t.Skip("needs /proc")
	}
	var environments []byte
	for _, file := range files {
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "stat"))
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // state, parent, ...
		if len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		if text, err := os.ReadFile(file); err == nil {
			environments = append(environments, text...)
		}
	}
	for _, a := range list {
		if bytes.Contains(environments, []byte("NOMAD_ALLOC_ID="+a.ID+"\x00")) {
			n++
		}
	}
	return n
}

// waitUntil waits until check returns true.
func waitUntil(t *testing.T, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !check(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

func TestExamples_StartDelayedTasks(t *testing.T) {
	c := exampleCluster("production", time.Now())
	list, _, err := dial(t, c).Allocations().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := processCount(t, list); n != 0 {
		t.Errorf("before: got %d allocations with processes, want none", n)
	}
	runTasks(c)
	log := func(allocation, task string) string {
		return get(c, "/v1/client/fs/logs/"+allocation+"?plain=true&type=stdout&task="+task)
	}
	id := c.Allocations("default", "p-team1-web")[0]
	waitUntil(t, "a task has written", func() bool { return strings.Contains(log(id, "web"), "GET /health") })
	for _, a := range list {
		for name, s := range a.TaskStates {
			if s.State == "dead" && !s.StartedAt.IsZero() && log(a.ID, name) == "" {
				t.Errorf("%s %s: got an empty log of a task that has ended", a.JobID, name)
			}
		}
	}
	waitUntil(t, "8 allocations have processes", func() bool { return processCount(t, list) >= 8 })
	if n := processCount(t, list); n > 60 {
		t.Errorf("got %d allocations with processes, want 8 to 60", n)
	}
	c.Close()
	if n := processCount(t, list); n != 0 {
		t.Errorf("after Close: got %d allocations with processes, want none", n)
	}
}
