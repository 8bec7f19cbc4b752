package nomadsim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestDeployment_MaxParallel(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	registerAndWait(t, n, c, sleeper("web", 3))
	c.SetStepInterval(30 * time.Millisecond)
	if _, _, err := n.Jobs().Register(sleeper("web", 3, setEnv("V", "2")), nil); err != nil {
		t.Fatal(err)
	}
	paused := false
	waitUntil(t, "the update is over", func() bool {
		rows := allocationLines(t, n, "web")
		pending := slices.DeleteFunc(slices.Clone(rows), func(s string) bool { return !strings.HasSuffix(s, "v1 pending") })
		if len(rows) > 3 || len(pending) > 1 {
			t.Fatalf("allocations: got %v, want at most one being replaced", rows)
		}
		if d, _, err := n.Jobs().LatestDeployment("web", nil); err == nil && d.JobVersion == 1 && !paused {
			paused = true
			wantStatus(t, func() error {
				count := 1
				_, _, err := n.Jobs().Scale("web", "g", &count, "", false, nil, nil)
				return err
			}(), 400, "job scaling blocked due to active deployment")
		}
		return c.Idle("default", "web")
	})
	wantList(t, "allocations", allocationLines(t, n, "web"),
		[]string{"web.g[0] v1 running", "web.g[1] v1 running", "web.g[2] v1 running"})
	v, diffs, _, err := n.Jobs().Versions("web", true, nil)
	if err != nil || len(v) != 2 || len(diffs) != 1 {
		t.Fatalf("versions: got %d and %d, %v, want 2 and the difference", len(v), len(diffs), err)
	}
	if f := diffs[0].TaskGroups[0].Tasks[0].Fields; len(f) != 1 || f[0].Type != "Added" || f[0].Name != "Env[V]" ||
		f[0].New != "2" {
		t.Errorf("difference: got %+v, want Env[V] added", f)
	}
}

func TestDeployment_PauseAndCanary(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	canary := setUpdate(api.UpdateStrategy{Canary: new(1), MaxParallel: new(1)})
	registerAndWait(t, n, c, sleeper("web", 2, canary))
	if _, _, err := n.Jobs().Register(sleeper("web", 2, canary, setEnv("V", "2")), nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the canary is healthy", func() bool { return c.healthyCanaries("web") == 1 })
	d, _, _ := n.Jobs().LatestDeployment("web", nil)
	if _, _, err := n.Deployments().Pause(d.ID, true, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Deployments().PromoteAll(d.ID, nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the surplus is stopped", func() bool { return len(allocationLines(t, n, "web")) == 2 })
	time.Sleep(50 * time.Millisecond) // time for an unexpected change
	wantList(t, "paused", allocationLines(t, n, "web"), []string{"web.g[0] v1 running", "web.g[1] v0 running"})
	if _, _, err := n.Deployments().Pause(d.ID, false, nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the deployment is over", func() bool { return c.deploymentStatus(d.ID) == "successful" })
	wantList(t, "resumed", allocationLines(t, n, "web"), []string{"web.g[0] v1 running", "web.g[1] v1 running"})
	_, _, err := n.Deployments().PromoteAll(d.ID, nil)
	wantStatus(t, err, 500, "can't promote terminal deployment")
}

func TestPromote_CompletesDeployment(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	canary := setUpdate(api.UpdateStrategy{Canary: new(1)})
	registerAndWait(t, n, c, sleeper("web", 1, canary))
	if _, _, err := n.Jobs().Register(sleeper("web", 1, canary, setEnv("V", "2")), nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the canary is healthy", func() bool { return c.healthyCanaries("web") == 1 })
	d, _, _ := n.Jobs().LatestDeployment("web", nil)
	if _, _, err := n.Deployments().PromoteAll(d.ID, nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the deployment is over", func() bool { return c.deploymentStatus(d.ID) == "successful" })
	waitUntil(t, "the job is idle", func() bool { return c.Idle("default", "web") })
	wantList(t, "allocations", allocationLines(t, n, "web"), []string{"web.g[0] v1 running"})
	if j, _, err := n.Jobs().Info("web", nil); err != nil || !*j.Stable {
		t.Errorf("job: got %+v, %v, want it stable", j, err)
	}
}

func TestDeployment_AutoRevert(t *testing.T) {
	t.Parallel()
	c, n := fastCluster(t, "")
	revert := setUpdate(api.UpdateStrategy{AutoRevert: new(true)})
	registerAndWait(t, n, c, sleeper("web", 1, revert, noRestarts))
	registerAndWait(t, n, c, sleeper("web", 1, revert, noRestarts, setEnv("SIM_EXIT", "3")))
	j, _, err := n.Jobs().Info("web", nil)
	if err != nil || *j.Version != 2 || *j.Status != "running" || len(j.TaskGroups[0].Tasks[0].Env) != 0 {
		t.Errorf("job: got version %d, %s, %v, want version 2 running as version 0", *j.Version, *j.Status, err)
	}
	all, _, _ := n.Jobs().Deployments("web", true, nil)
	if !slices.ContainsFunc(all, func(d *api.Deployment) bool {
		return d.StatusDescription == "Failed due to unhealthy allocations - rolling back to job version 0"
	}) {
		t.Errorf("deployments: got no deployment that failed and was rolled back")
	}
}

func TestPlacement_BlockedEvaluation(t *testing.T) {
	t.Parallel()
	_, n := fastCluster(t, "")
	j := sleeper("web", 1, func(j *api.Job) { j.Constrain(api.NewConstraint("${attr.kernel.name}", "=", "windows")) })
	j.Type = new("batch") // without a deployment, which would make the job running
	r, _, err := n.Jobs().Register(j, nil)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the evaluation is complete", func() bool {
		e, _, err := n.Evaluations().Info(r.EvalID, nil)
		return err == nil && e.Status == "complete" && e.BlockedEval != "" &&
			e.FailedTGAllocs["g"].ConstraintFiltered["${attr.kernel.name} = windows"] == 1
	})
	if info, _, _ := n.Jobs().Info("web", nil); *info.Status != "pending" {
		t.Errorf("job: got %s, want it pending", *info.Status)
	}
}
