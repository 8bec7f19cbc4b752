package nomadtest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// jobWatcher waits for and checks the states of one job.
type jobWatcher struct {
	t      *testing.T
	client *api.Client
	id     string
}

// waitUntil waits for a condition that the cluster reaches on its own.
func (c jobWatcher) waitUntil(what string, missing func() error) {
	c.t.Helper()
	if err := agent.waitUntil(60*time.Second, what, missing); err != nil {
		c.t.Fatal(err)
	}
}

// waitDeployed waits until the current version is deployed.
func (c jobWatcher) waitDeployed() {
	c.t.Helper()
	c.waitUntil(c.id+" is deployed", func() error {
		job, _, err := c.client.Jobs().Info(c.id, nil)
		if err != nil {
			return err
		}
		d, _, err := c.client.Jobs().LatestDeployment(c.id, nil)
		if err == nil && (d == nil || d.JobVersion != *job.Version || d.Status != "successful") {
			err = fmt.Errorf("version %d is not deployed", *job.Version)
		}
		return err
	})
}

// waitRunning waits until exactly n allocations run and no other is starting or stopping. It returns them by name.
func (c jobWatcher) waitRunning(n int) map[string]*api.AllocationListStub {
	c.t.Helper()
	found := map[string]*api.AllocationListStub{}
	c.waitUntil(fmt.Sprint(n, " run of ", c.id), func() error {
		all, _, err := c.client.Jobs().Allocations(c.id, false, nil)
		clear(found)
		for _, a := range all {
			switch {
			case a.DesiredStatus == "run" && a.ClientStatus == "running":
				found[a.Name] = a
			case a.ClientStatus == "pending" || a.ClientStatus == "running":
				return fmt.Errorf("%s is %s", a.Name, a.ClientStatus)
			}
		}
		if err == nil && len(found) != n {
			err = fmt.Errorf("%d run", len(found))
		}
		return err
	})
	return maps.Clone(found)
}

// wantVersions compares the versions of the job, latest first. A version is "NUMBER MODE COUNT", followed by "stop"
// and "tag=NAME" if they apply.
func (c jobWatcher) wantVersions(step string, want ...string) {
	c.t.Helper()
	versions, _, _, err := c.client.Jobs().Versions(c.id, false, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for _, v := range versions {
		g := v.TaskGroups[0]
		line := fmt.Sprint(*v.Version, " ", g.Tasks[0].Env["MODE"], " ", *g.Count)
		if *v.Stop {
			line += " stop"
		}
		if v.VersionTag != nil {
			line += " tag=" + v.VersionTag.Name
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("%s: got %q, want %q", step, got, want)
	}
}

func TestVersions_SameOnEveryCluster(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		if cluster.OlderThan(t, 1, 10) {
			t.Skip("this Nomad does not support version tags")
		}
		c := jobWatcher{t, client, "p-team6-versions"}
		register := func(mode string) {
			t.Helper()
			cluster.Register(t, Scalable(c.id, mode))
		}
		register("a")
		c.waitDeployed()
		if _, err := client.Jobs().TagVersion(c.id, 0, "keep", "", nil); err != nil {
			t.Fatal(err)
		}
		register("a")
		c.wantVersions("registered again without its tag", "1 a 1", "0 a 1 tag=keep")
		register("b")
		c.waitDeployed()
		register("b")
		c.wantVersions("another mode, twice", "2 b 1", "1 a 1", "0 a 1 tag=keep")
		if _, _, err := client.Jobs().Deregister(c.id, false, nil); err != nil {
			t.Fatal(err)
		}
		c.wantVersions("stopped", "3 b 1 stop", "2 b 1", "1 a 1", "0 a 1 tag=keep")
		register("b")
		c.waitDeployed()
		revert := func(version uint64) {
			t.Helper()
			if r, _, err := client.Jobs().Revert(c.id, version, nil, nil, "", ""); err != nil || r.EvalID == "" {
				t.Fatalf("revert to %d: got %+v, %v, want success", version, r, err)
			}
		}
		revert(1)
		c.waitDeployed()
		six := []string{"5 a 1", "4 b 1", "3 b 1 stop", "2 b 1", "1 a 1", "0 a 1 tag=keep"}
		c.wantVersions("reverted", six...)
		revert(0)
		c.waitDeployed()
		c.wantVersions("reverted to a version that differs only in the indexes of its scaling policy",
			append([]string{"6 a 1"}, six...)...)
		revert(0)
		c.waitDeployed()
		c.wantVersions("reverted to a version that is the same", append([]string{"6 a 1"}, six...)...)
		for i := range 2 {
			if _, _, err := client.Jobs().Scale(c.id, "web", new(2), "", false, nil, nil); err != nil {
				t.Fatal(i, err)
			}
			c.waitDeployed()
		}
		c.wantVersions("scaled twice to the same count", "8 a 2", "7 a 2", "6 a 1", "5 a 1", "4 b 1", "3 b 1 stop",
			"0 a 1 tag=keep")
		if _, err := client.Jobs().UntagVersion(c.id, "keep", nil); err != nil {
			t.Fatal(err)
		}
		c.wantVersions("untagged", "8 a 2", "7 a 2", "6 a 1", "5 a 1", "4 b 1", "3 b 1 stop")
	})
}

func TestChildren_OutliveParent(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		parent := parameterized("p-team6-import")
		parent.TaskGroups[0].Tasks[0].Config = map[string]any{"command": "/bin/sleep", "args": []string{"3600"}}
		cluster.Register(t, parent)
		var children []string
		for range 2 {
			r, _, err := client.Jobs().Dispatch(*parent.ID, nil, nil, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, r.DispatchedJobID)
			jobWatcher{t, client, r.DispatchedJobID}.waitRunning(1)
		}
		counts := func(step string, want api.JobChildrenSummary) {
			t.Helper()
			s, _, err := client.Jobs().Summary(*parent.ID, nil)
			if err != nil || *s.Children != want {
				t.Errorf("%s: got %+v, %v, want %+v", step, s.Children, err, want)
			}
		}
		counts("two run", api.JobChildrenSummary{Running: 2})
		if _, _, err := client.Jobs().Deregister(*parent.ID, false, nil); err != nil {
			t.Fatal(err)
		}
		counts("the parent is stopped", api.JobChildrenSummary{Running: 2})
		_, _, err := client.Jobs().Dispatch(*parent.ID, nil, nil, "", nil)
		if err == nil || !strings.Contains(err.Error(), `Specified job "p-team6-import" is stopped`) {
			t.Errorf("dispatch of a stopped job: got %v", err)
		}
		if _, _, err := client.Jobs().Deregister(*parent.ID, true, nil); err != nil { // like a garbage collection
			t.Fatal(err)
		}
		for _, id := range children {
			jobWatcher{t, client, id}.waitRunning(1)
		}
		cluster.Register(t, parent)
		counts("the parent is registered again", api.JobChildrenSummary{})
		for _, id := range children {
			if _, _, err := client.Jobs().Deregister(id, true, nil); err != nil {
				t.Fatal(err)
			}
		}
		counts("the children are purged", api.JobChildrenSummary{Running: -2, Dead: 2})
	})
}

func TestEvaluate_SameOnEveryCluster(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		for _, test := range []struct {
			id         string
			reschedule api.ReschedulePolicy
			forced     bool
		}{
			{"p-team6-given-up", api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)}, false},
			{
				"p-team6-later",
				api.ReschedulePolicy{
					Delay: new(time.Hour), MaxDelay: new(time.Hour), DelayFunction: new("constant"), Unlimited: new(true),
				},
				true,
			},
		} {
			job := Scalable(test.id, "a")
			g := job.TaskGroups[0]
			g.Count, g.Scaling, g.ReschedulePolicy = new(2), nil, &test.reschedule
			g.RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new("fail")}
			cluster.Register(t, job)
			c := jobWatcher{t, client, test.id}
			c.waitDeployed()
			failed := c.waitRunning(2)[test.id+".web[1]"]
			err := client.Allocations().Signal(&api.Allocation{ID: failed.ID, NodeID: failed.NodeID}, nil, "web",
				"SIGKILL")
			if err != nil {
				t.Fatal(err)
			}
			c.waitRunning(1)
			evaluate := func(force bool) {
				t.Helper()
				if _, _, err := client.Jobs().EvaluateWithOpts(test.id, api.EvalOptions{ForceReschedule: force}, nil); err != nil {
					t.Fatal(err)
				}
				c.waitUntil("it is evaluated", func() error {
					all, _, err := client.Jobs().Evaluations(test.id, nil)
					for _, e := range all {
						if e.Status == "pending" && e.TriggeredBy == "job-register" {
							return fmt.Errorf("evaluation %s is pending", e.ID)
						}
					}
					return err
				})
			}
			evaluate(false)
			c.waitRunning(1)
			evaluate(true)
			if !test.forced {
				c.waitRunning(1)
				continue
			}
			next := c.waitRunning(2)[test.id+".web[1]"]
			before, _, err := client.Allocations().Info(failed.ID, nil)
			if err != nil || before.NextAllocation != next.ID || before.DesiredStatus != "stop" ||
				before.ClientStatus != "failed" ||
				!*before.DesiredTransition.ForceReschedule || next.RescheduleTracker == nil ||
				len(next.RescheduleTracker.Events) != 1 {
				t.Errorf("forced: got %+v, then %+v, %v", before, next, err)
			}
		}
	})
}

func TestSystemJob_StoppedAllocationNotReplaced(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		job := Scalable("p-team6-system", "a")
		job.Type = new("system")
		g := job.TaskGroups[0]
		g.Count, g.Scaling, g.Update, g.ReschedulePolicy = nil, nil, nil, nil
		cluster.Register(t, job)
		c := jobWatcher{t, client, *job.ID}
		a := c.waitRunning(1)["p-team6-system.web[0]"]
		if _, err := client.Allocations().Stop(&api.Allocation{ID: a.ID}, nil); err != nil {
			t.Fatal(err)
		}
		c.waitUntil("it is stopped", func() error {
			now, _, err := client.Allocations().Info(a.ID, nil)
			if err == nil && now.ClientStatus != "complete" {
				err = fmt.Errorf("it is %s", now.ClientStatus)
			}
			return err
		})
		c.waitRunning(0)
		if now, _, err := client.Allocations().Info(a.ID, nil); err != nil ||
			now.DesiredDescription != "alloc not needed as node is tainted" {
			t.Errorf("stopped: got %q, %v", now.DesiredDescription, err)
		}
		if _, _, err := client.Jobs().EvaluateWithOpts(*job.ID, api.EvalOptions{ForceReschedule: true}, nil); err != nil {
			t.Fatal(err)
		}
		c.waitRunning(1)
	})
}

func TestPlacement_NoNodesInDatacenter(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, client *api.Client) {
		job := Scalable("p-team6-elsewhere", "a")
		job.Datacenters = []string{"dc9"}
		cluster.Register(t, job)
		pool := "default"
		if cluster.OlderThan(t, 1, 10) { // Nomad 1.6 does not report it
			pool = ""
		}
		jobWatcher{t, client, *job.ID}.waitUntil("it is blocked", func() error {
			all, _, err := client.Jobs().Evaluations(*job.ID, nil)
			for _, e := range all {
				m := e.FailedTGAllocs["web"]
				if e.Status != "blocked" {
					continue
				}
				if m == nil || m.NodesEvaluated != 0 || len(m.NodesAvailable) != 0 || m.NodesInPool != 0 ||
					m.ConstraintFiltered != nil || m.NodePool != pool {
					t.Errorf("got %+v, want no node in dc9", m)
				}
				return nil
			}
			if err == nil {
				err = fmt.Errorf("%d evaluations", len(all))
			}
			return err
		})
	})
}

func TestNamespaces_OmitsUnreadable(t *testing.T) {
	forEachCluster(t, func(t *testing.T, cluster Cluster, _ *api.Client) {
		token := limitedTokenIn(t, cluster, "default", "list-jobs", "read-job")
		for _, path := range []string{"/v1/jobs", "/v1/allocations", "/v1/evaluations", "/v1/deployments"} {
			status, body := get(t, cluster, token, path+"?namespace=*")
			if status != 200 || !strings.Contains(body, `"Namespace":"default"`) ||
				strings.Contains(body, `"Namespace":"other"`) {
				t.Errorf("%s in *: got %d %.300s, want only records of default", path, status, body)
			}
			if status, body := get(t, cluster, token, path+"?namespace=other"); status != 403 || body != "Permission denied" {
				t.Errorf("%s in other: got %d %.300s, want it denied", path, status, body)
			}
		}
		for _, path := range []string{
			"", "/allocations", "/evaluations", "/summary", "/versions", "/deployments", "/deployment", "/scale",
			"/submission?version=0",
		} {
			at, query, _ := strings.Cut(path, "?")
			if status, body := get(t, cluster, token, "/v1/job/p-team1-web"+at+"?namespace=other&"+query); status != 403 ||
				body != "Permission denied" {
				t.Errorf("%s of a job in other: got %d %.300s, want it denied", path, status, body)
			}
		}
		if status, body := get(t, cluster, token, "/v1/namespaces"); status != 200 ||
			strings.Contains(body, `"Name":"other"`) {
			t.Errorf("namespaces: got %d %s, want default alone", status, body)
		}
		nothing := limitedTokenIn(t, cluster, url.PathEscape("unknown"), "list-jobs", "read-job")
		for _, path := range []string{"/v1/jobs", "/v1/allocations", "/v1/evaluations", "/v1/deployments"} {
			if status, body := get(t, cluster, nothing, path+"?namespace=*"); status != 200 || body != "[]" {
				t.Errorf("%s in * for a token that may read a namespace that is not there: got %d %.300s, want an empty list", path,
					status, body)
			}
		}
	})
}
