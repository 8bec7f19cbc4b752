package nomadsim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// versionLines lists the versions of a job, latest first, as "NUMBER MODE", followed by "stop" and "tag=NAME" if they
// apply.
func versionLines(t *testing.T, n *api.Client, id string) (all []string) {
	t.Helper()
	versions, _, _, err := n.Jobs().Versions(id, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		line := fmt.Sprintf("%d %s", *v.Version, v.TaskGroups[0].Tasks[0].Env["MODE"])
		if *v.Stop {
			line += " stop"
		}
		if v.VersionTag != nil {
			line += " tag=" + v.VersionTag.Name
		}
		all = append(all, line)
	}
	return all
}

func stopJob(t *testing.T, n *api.Client, c *Cluster, id string) {
	t.Helper()
	if _, _, err := n.Jobs().Deregister(id, false, nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, id+" is stopped", func() bool { return c.Idle("default", id) })
}

// TestVersions_EveryChangeCreatesOne has the steps and the versions of a real Nomad.
func TestVersions_EveryChangeCreatesOne(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	at := func(step string, want ...string) {
		t.Helper()
		if got := versionLines(t, n, "web"); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", step, got, want)
		}
	}
	mode := func(m string) { registerAndWait(t, n, c, sleeper("web", 1, setEnv("MODE", m))) }
	mode("a")
	if _, err := n.Jobs().TagVersion("web", 0, "keep", "first", nil); err != nil {
		t.Fatal(err)
	}
	at("tagged", "0 a tag=keep")
	mode("a")
	at("registered again without the tag", "1 a", "0 a tag=keep")
	mode("b")
	mode("b")
	at("another mode, twice", "2 b", "1 a", "0 a tag=keep")
	stopJob(t, n, c, "web")
	stopJob(t, n, c, "web")
	at("stopped twice", "4 b stop", "3 b stop", "2 b", "1 a", "0 a tag=keep")
	mode("b")
	at("started", "5 b", "4 b stop", "3 b stop", "2 b", "1 a", "0 a tag=keep")
	revert := func(version uint64) *api.JobRegisterResponse {
		t.Helper()
		r, _, err := n.Jobs().Revert("web", version, nil, nil, "", "")
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "it is reverted", func() bool { return c.Idle("default", "web") })
		return r
	}
	revert(1)
	reverted := []string{"6 a", "5 b", "4 b stop", "3 b stop", "2 b", "1 a", "0 a tag=keep"}
	at("reverted to another", reverted...)
	if r := revert(0); r.EvalID == "" {
		t.Errorf("revert to an equal version: got %+v, want success", r)
	}
	at("reverted to an equal version, which is tagged", reverted...)
	for range 2 {
		if _, _, err := n.Jobs().Scale("web", "g", new(2), "", false, nil, nil); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "it is scaled", func() bool { return c.Idle("default", "web") })
	}
	at("scaled twice to the same count", "8 a", "7 a", "6 a", "5 b", "4 b stop", "3 b stop", "0 a tag=keep")
	if _, err := n.Jobs().UntagVersion("web", "keep", nil); err != nil {
		t.Fatal(err)
	}
	at("untagged", "8 a", "7 a", "6 a", "5 b", "4 b stop", "3 b stop")
}

func TestVersions_RetainsNewestStable(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 1, setEnv("MODE", "good")))
	for i := range 7 {
		j := sleeper("web", 1, setEnv("MODE", fmt.Sprint("bad", i)), setUpdate(api.UpdateStrategy{Canary: new(1)}))
		registerWithoutWaiting(t, n, j)
	}
	got := versionLines(t, n, "web")
	if last := got[len(got)-1]; len(got) != 6 || last != "0 good" {
		t.Errorf("got %q, want six versions, the last one stable", got)
	}
}

func registerWithoutWaiting(t *testing.T, n *api.Client, j *api.Job) {
	t.Helper()
	if _, _, err := n.Jobs().Register(j, nil); err != nil {
		t.Fatal(err)
	}
}

func TestTags_MatchRecordings(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "root")
	registerAndWait(t, n, c, sleeper("p-hist", 1, setEnv("MODE", "a")))
	all := exchanges(t)
	for _, name := range []string{"tag", "tag-again"} {
		replay(t, c, all[name], "root")
	}
	registerAndWait(t, n, c, sleeper("p-hist", 1, setEnv("MODE", "b")))
	replay(t, c, all["tag-other"], "root", `"Version":7`, `"Version":1`)
	for _, name := range []string{"tag-no-version", "tag-no-job", "tag-latest-version", "untag-unknown"} {
		replay(t, c, all[name], "root")
	}
	registerAndWait(t, n, c, sleeper("p-hist", 1, setEnv("MODE", "a")))
	replay(t, c, all["revert-equal"], "root")
	replay(t, c, all["untag"], "root")
	replay(t, c, all["gc"], "root")
	if w := send(c, "PUT", "/v1/system/gc", "", "X-Nomad-Token", "other"); w.Code != 403 {
		t.Errorf("gc with another token: got %d, want 403", w.Code)
	}
	if w := send(c, "POST", "/v1/system/gc", "", "X-Nomad-Token", "root"); w.Code != 405 {
		t.Errorf("gc by POST: got %d, want 405", w.Code)
	}
}

func TestCollect_StoppedJob(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 2, setEnv("MODE", "a")))
	registerAndWait(t, n, c, sleeper("web", 2, setEnv("MODE", "b")))
	if err := c.Collect("default", "web"); err == nil {
		t.Error("a running job was collected")
	}
	id := c.Allocations("default", "web")[0]
	stopJob(t, n, c, "web")
	if _, err := n.Jobs().TagVersion("web", 0, "keep", "", nil); err != nil {
		t.Fatal(err)
	}
	gc := func() {
		t.Helper()
		if err := n.System().GarbageCollect(); err != nil {
			t.Fatal(err)
		}
	}
	gc()
	waitUntil(t, "its evaluations are collected", func() bool { return len(evaluations(t, n, "web")) == 0 })
	s, _, err := n.Jobs().Summary("web", nil)
	if err != nil || s.Summary["g"].Complete != 4 || len(c.Allocations("default", "web")) != 0 {
		t.Errorf("a job with a tagged version: got %+v, %v, %q, want its allocations deleted but counted", s, err,
			c.Allocations("default", "web"))
	}
	if got := versionLines(t, n, "web"); len(got) != 3 {
		t.Errorf("a job with a tagged version: got %q, want three versions kept", got)
	}
	if _, err := n.Jobs().UntagVersion("web", "keep", nil); err != nil {
		t.Fatal(err)
	}
	gc()
	waitUntil(t, "it is collected", func() bool { return get(c, "/v1/job/web").Code == 404 })
	for _, path := range []string{"/v1/job/web/versions", "/v1/job/web/summary", "/v1/allocation/" + id} {
		if w := get(c, path); w.Code != 404 {
			t.Errorf("%s: got %d, want 404", path, w.Code)
		}
	}
	if got := get(c, "/v1/deployments").Body.String(); got != "[]" {
		t.Errorf("deployments: got %s, want none", got)
	}
	registerAndWait(t, n, c, sleeper("web", 1, setEnv("MODE", "b")))
	if got := versionLines(t, n, "web"); len(got) != 1 || got[0] != "0 b" {
		t.Errorf("registered again: got %q, want its first version", got)
	}
}

func evaluations(t *testing.T, n *api.Client, id string) []*api.Evaluation {
	t.Helper()
	all, _, err := n.Jobs().Evaluations(id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCollect_RunningJob(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 1, setEnv("MODE", "a")))
	registerAndWait(t, n, c, sleeper("web", 1, setEnv("MODE", "b")))
	if err := n.System().GarbageCollect(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the first deployment is collected", func() bool {
		return !strings.Contains(get(c, "/v1/deployments").Body.String(), `"JobVersion":0`)
	})
	wantList(t, "allocations", allocationLines(t, n, "web"), []string{"web.g[0] v1 running"})
	versions, _, _, err := n.Jobs().Versions("web", false, nil)
	if err != nil || len(versions) != 2 || !*versions[1].Stable {
		t.Errorf("versions: got %d, %v, want two, the first still stable", len(versions), err)
	}
	if s, _, err := n.Jobs().Summary("web", nil); err != nil || s.Summary["g"].Complete != 1 ||
		s.Summary["g"].Running != 1 {
		t.Errorf("summary: got %+v, %v, want the collected allocation counted", s, err)
	}
}

// TestChildren_OutliveParent has the counts of a real Nomad after the same steps.
func TestChildren_OutliveParent(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "root")
	parent := sleeper("import", 1, func(j *api.Job) {
		j.Type, j.ParameterizedJob = new("batch"), &api.ParameterizedJobConfig{Payload: "optional"}
	})
	registerWithoutWaiting(t, n, parent)
	var children []string
	for range 3 {
		r, _, err := n.Jobs().Dispatch("import", nil, nil, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the child runs", func() bool { return c.Idle("default", r.DispatchedJobID) })
		children = append(children, r.DispatchedJobID)
	}
	counts := func(step string, want api.JobChildrenSummary) {
		t.Helper()
		s, _, err := n.Jobs().Summary("import", nil)
		if err != nil || *s.Children != want {
			t.Errorf("%s: got %+v, %v, want %+v", step, s.Children, err, want)
		}
	}
	counts("three run", api.JobChildrenSummary{Running: 3})
	stopJob(t, n, c, children[2])
	counts("one is stopped", api.JobChildrenSummary{Running: 2, Dead: 1})
	if err := c.Collect("default", children[2]); err != nil {
		t.Fatal(err)
	}
	counts("one is deleted", api.JobChildrenSummary{Running: 2, Dead: 1})
	stopJob(t, n, c, "import")
	counts("the parent is stopped", api.JobChildrenSummary{Running: 2, Dead: 1})
	_, _, err := n.Jobs().Dispatch("import", nil, nil, "", nil)
	wantStatus(t, err, 500, `Specified job "import" is stopped`)
	if err := c.Collect("default", "import"); err != nil {
		t.Fatal(err)
	}
	for _, id := range children[:2] {
		wantList(t, id, allocationLines(t, n, id), []string{id + ".g[0] v0 running"})
		if j, _, err := n.Jobs().Info(id, nil); err != nil || *j.ParentID != "import" || *j.Status != "running" {
			t.Errorf("%s: got %+v, %v, want it running without its parent", id, j, err)
		}
	}
	registerWithoutWaiting(t, n, parent)
	counts("the parent is registered again", api.JobChildrenSummary{})
	for _, id := range children[:2] {
		if _, _, err := n.Jobs().Deregister(id, true, nil); err != nil {
			t.Fatal(err)
		}
	}
	counts("the children are purged", api.JobChildrenSummary{Running: -2, Dead: 2})
}

func TestSkewSummary_ChangesCounts(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	c.AddJob(Job{ID: "cron", Type: "batch", Periodic: &Periodic{Spec: "0 5 29 2 *"}})
	c.AddJob(Job{ID: "web"})
	if !c.SkewSummary("default", "cron", 1, -2, 3, 0) || !c.SkewSummary("default", "web", 0, 0, 0, -1) ||
		c.SkewSummary("default", "nope", 0, 0, 0, 1) {
		t.Error("SkewSummary does not report whether there is such a job")
	}
	if s, _, err := n.Jobs().Summary("cron", nil); err != nil ||
		*s.Children != (api.JobChildrenSummary{Pending: 1, Running: -2, Dead: 3}) {
		t.Errorf("children: got %+v, %v", s, err)
	}
	list := get(c, "/v1/jobs?prefix=web").Body.String()
	if !strings.Contains(list, `"Queued":-1`) {
		t.Errorf("list: got %s, want a queue below zero", list)
	}
}
