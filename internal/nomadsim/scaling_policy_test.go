package nomadsim

import (
	"testing"

	"github.com/hashicorp/nomad/api"
)

func setScaling(minCount, maxCount int64) func(j *api.Job) {
	return func(j *api.Job) { j.TaskGroups[0].Scaling = &api.ScalingPolicy{Min: &minCount, Max: &maxCount} }
}

// scalingVersions returns the versions of a job, latest first, as [stopped, enabled].
func scalingVersions(t *testing.T, n *api.Client, id string) (all [][2]bool, diffs []*api.JobDiff) {
	t.Helper()
	versions, diffs, _, err := n.Jobs().Versions(id, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		all = append(all, [2]bool{*v.Stop, *v.TaskGroups[0].Scaling.Enabled})
	}
	return all, diffs
}

func TestScalingPolicy_StopDisables(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("sent", 1, setScaling(1, 3)))
	c.AddJob(Job{ID: "described", Groups: []Group{{Name: "g", Scaling: &Scaling{Min: 1, Max: 3}}}})
	for _, id := range []string{"sent", "described"} {
		if _, _, err := n.Jobs().Deregister(id, false, nil); err != nil {
			t.Fatal(err)
		}
		got, diffs := scalingVersions(t, n, id)
		if len(got) != 2 || got[0] != [2]bool{true, false} || got[1] != [2]bool{false, true} {
			t.Fatalf("%s: stopped and enabled: got %v, want it disabled only in the stopped version", id, got)
		}
		g := diffs[0].TaskGroups[0]
		if len(g.Objects) != 1 || len(g.Objects[0].Fields) != 1 || len(g.Objects[0].Objects) != 0 {
			t.Fatalf("%s: difference: got %+v, want one field", id, g.Objects)
		}
		if o, f := g.Objects[0], g.Objects[0].Fields[0]; o.Name != "Scaling" || f.Name != "Enabled" || f.Old != "true" ||
			f.New != "false" {
			t.Errorf("%s: difference: got %+v, want scaling disabled", id, o)
		}
		j, _, err := n.Jobs().Info(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Registering the same definition does not enable scaling.
		j.Stop = new(false)
		registerAndWait(t, n, c, j)
		if got, _ := scalingVersions(t, n, id); len(got) != 3 || got[0] != [2]bool{false, false} {
			t.Errorf("%s: registered again: got %v, want it still disabled", id, got)
		}
		if _, _, err := n.Jobs().Revert(id, 0, nil, nil, "", ""); err != nil {
			t.Fatal(err)
		}
		if got, _ := scalingVersions(t, n, id); len(got) != 4 || got[0] != [2]bool{false, true} {
			t.Errorf("%s: reverted: got %v, want it enabled", id, got)
		}
	}
}

func TestScalingPolicy_ChangeCreatesVersion(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 1, setScaling(1, 3)))
	registerAndWait(t, n, c, sleeper("web", 1, setScaling(1, 5)))
	j, _, err := n.Jobs().Info("web", nil)
	if err != nil || *j.Version != 1 || *j.TaskGroups[0].Scaling.Max != 5 {
		t.Errorf("got version %d, %+v, %v, want version 1 with at most 5", *j.Version, j.TaskGroups[0].Scaling, err)
	}
	wantList(t, "allocations", allocationLines(t, n, "web"), []string{"web.g[0] v1 running"})
	if all := c.Allocations("default", "web"); len(all) != 1 {
		t.Errorf("got %d allocations, want only the running one", len(all))
	}
}
