package nomadsim

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/nomadsim/jobspec"
)

// updatedCluster has a job with two updates. The second one is in progress.
func updatedCluster() *Cluster {
	c := New()
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	group := func(image string, n int) Group {
		return Group{Name: "web", Count: n, Tasks: []Task{{Name: "web", Config: object{"image": image}}}}
	}
	now := group("web:3", 2)
	now.Allocations = []Allocation{
		{Previous: &Allocation{VersionsBehind: 1, Previous: &Allocation{VersionsBehind: 2}}, HealthPending: true},
		{VersionsBehind: 1},
	}
	c.AddJob(Job{
		ID: "p-web", Submitted: at, Groups: []Group{now}, Deployment: Deployment{Status: "running"},
		Versions: []Job{
			{Submitted: at.Add(-2 * time.Hour), Groups: []Group{group("web:1", 1)}, Deployment: Deployment{Status: "cancelled"}},
			{Submitted: at.Add(-time.Hour), Groups: []Group{group("web:2", 2)}, Deployment: successful},
		},
	})
	return c
}

func TestVersions_Earlier(t *testing.T) {
	c := updatedCluster()
	n := dial(t, c, "")
	versions, _, _, err := n.Jobs().Versions("p-web", false, nil)
	if err != nil || len(versions) != 3 {
		t.Fatalf("versions: got %d, %v, want 3", len(versions), err)
	}
	for i, want := range []struct {
		image  string
		count  int
		stable bool
	}{{"web:3", 2, false}, {"web:2", 2, true}, {"web:1", 1, false}} {
		v := versions[i]
		g := v.TaskGroups[0]
		if *v.Version != uint64(2-i) || g.Tasks[0].Config["image"] != want.image || *g.Count != want.count ||
			*v.Stable != want.stable {
			t.Errorf("version %d: got number %d, %v, %d, stable %v, want %+v", 2-i, *v.Version, g.Tasks[0].Config, *g.Count,
				*v.Stable, want)
		}
		if *v.CreateIndex != *versions[0].CreateIndex || (i > 0 && *v.JobModifyIndex >= *versions[i-1].JobModifyIndex) {
			t.Errorf("version %d: got indexes %d and %d, want the first shared, the second growing", 2-i, *v.CreateIndex,
				*v.JobModifyIndex)
		}
	}
	current, _, err := n.Jobs().Info("p-web", nil)
	if err != nil || *current.Version != 2 {
		t.Errorf("job: got %v, %v, want version 2", current, err)
	}
	_, diffs, _, err := n.Jobs().Versions("p-web", true, nil)
	if err != nil || len(diffs) != 2 {
		t.Fatalf("differences: got %d, %v, want those of two versions", len(diffs), err)
	}
	if f := diffs[1].TaskGroups[0].Fields; len(f) != 1 || f[0].Name != "Count" || f[0].Old != "1" || f[0].New != "2" {
		t.Errorf("difference: got %+v, want the count from 1 to 2", f)
	}
}

func TestVersions_Deployments(t *testing.T) {
	n := dial(t, updatedCluster(), "")
	all, _, err := n.Jobs().Deployments("p-web", true, nil)
	if err != nil || len(all) != 3 {
		t.Fatalf("deployments: got %d, %v, want 3", len(all), err)
	}
	byVersion := map[uint64]*api.Deployment{}
	for _, d := range all {
		byVersion[d.JobVersion] = d
	}
	for version, want := range map[uint64]struct {
		status          string
		placed, healthy int
	}{0: {"cancelled", 1, 1}, 1: {"successful", 2, 2}, 2: {"running", 1, 0}} {
		d := byVersion[version]
		if g := d.TaskGroups["web"]; d.Status != want.status || g.PlacedAllocs != want.placed ||
			g.HealthyAllocs != want.healthy {
			t.Errorf("deployment of version %d: got %s, %+v, want %+v", version, d.Status, g, want)
		}
	}
	latest, _, err := n.Jobs().LatestDeployment("p-web", nil)
	if err != nil || latest.JobVersion != 2 {
		t.Errorf("latest deployment: got %+v, %v, want that of version 2", latest, err)
	}
	if list, _, err := n.Deployments().List(nil); err != nil || len(list) != 3 {
		t.Errorf("deployments of the cluster: got %d, %v, want 3", len(list), err)
	}
}

func TestVersions_Allocations(t *testing.T) {
	n := dial(t, updatedCluster(), "")
	stubs, _, err := n.Jobs().Allocations("p-web", true, nil)
	if err != nil || len(stubs) != 4 {
		t.Fatalf("allocations: got %d, %v, want 4", len(stubs), err)
	}
	chain := map[uint64]*api.Allocation{}
	for _, s := range stubs {
		if s.Name != "p-web.web[0]" {
			if s.JobVersion != 1 || s.ClientStatus != "running" {
				t.Errorf("%s: got version %d, %s, want 1, running", s.Name, s.JobVersion, s.ClientStatus)
			}
			continue
		}
		if chain[s.JobVersion], _, err = n.Allocations().Info(s.ID, nil); err != nil {
			t.Fatal(err)
		}
	}
	for version := range uint64(2) {
		old, next := chain[version], chain[version+1]
		if old.NextAllocation != next.ID || next.PreviousAllocation != old.ID || next.RescheduleTracker != nil {
			t.Errorf("version %d: got next %s, previous %s, want them linked and not rescheduled", version, old.NextAllocation,
				next.PreviousAllocation)
		}
		if old.ClientStatus != "complete" || old.DesiredStatus != "stop" || old.DesiredDescription != jobspec.DescUpdating ||
			*old.Job.Version != version {
			t.Errorf("version %d: got %s, %s, %q, job version %d", version, old.ClientStatus, old.DesiredStatus,
				old.DesiredDescription, *old.Job.Version)
		}
	}
	if chain[2].DeploymentStatus != nil {
		t.Errorf("version 2: got health %+v, want none yet", chain[2].DeploymentStatus)
	}
}

func TestAddJob_KeepsExtraFields(t *testing.T) {
	c := New()
	c.AddJob(Job{ID: "p-web", Extra: map[string]any{"FromTheFuture": object{"Level": 7}, "Priority": 70}})
	alloc := jobspec.UUID("allocation", "default", "p-web", "main", "0")
	for _, path := range []string{"/v1/job/p-web", "/v1/job/p-web/versions", "/v1/allocation/" + alloc} {
		body := get(c, path).Body.String()
		if !strings.Contains(body, `"FromTheFuture":{"Level":7}`) || !strings.Contains(body, `"Priority":70`) {
			t.Errorf("%s: got %s, want the additional field and the other priority", path, body)
		}
	}
}
