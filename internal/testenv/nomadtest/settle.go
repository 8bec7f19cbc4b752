package nomadtest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/testenv"
)

// RegisterAndSettle registers a test's own job or a new version of it, as Register does, and waits until it is settled.
// It returns a client of the cluster.
func (c Cluster) RegisterAndSettle(t *testing.T, job *api.Job) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: c.URL, SecretID: Token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	c.Register(t, job)
	testenv.Eventually(t, *job.ID+" is settled", func() bool { return CheckSettled(client, *job.ID) == nil })
	return client
}

// CheckSettled returns an error if a job is not settled yet: deployed, waiting for promotion, or finished.
func CheckSettled(client *api.Client, id string) error {
	job, _, err := client.Jobs().Info(id, nil)
	if err != nil || job.IsPeriodic() || job.IsParameterized() {
		return err
	}
	allocations, _, err := client.Jobs().Allocations(id, true, nil)
	if err != nil {
		return err
	}
	if *job.Type == "batch" {
		running := func(a *api.AllocationListStub) bool {
			return a.ClientStatus != "complete" && a.ClientStatus != "failed"
		}
		if len(allocations) == 0 || slices.ContainsFunc(allocations, running) {
			return fmt.Errorf("not finished: %d allocations", len(allocations))
		}
		return nil
	}
	if *job.Type == "system" {
		for _, a := range allocations {
			if a.DesiredStatus == "run" && a.ClientStatus == "running" && a.JobVersion == *job.Version {
				return nil
			}
		}
		return fmt.Errorf("none of its %d allocations is running", len(allocations))
	}
	d, _, err := client.Jobs().LatestDeployment(id, nil)
	if err != nil {
		return err
	}
	evaluations, _, err := client.Jobs().Evaluations(id, nil)
	if err != nil {
		return err
	}
	blocked := func(e *api.Evaluation) bool { return e.Status == "blocked" }
	switch {
	case slices.ContainsFunc(evaluations, blocked):
		return nil
	case d == nil || d.JobVersion != *job.Version:
		return fmt.Errorf("version %d has no deployment", *job.Version)
	case d.Status == "successful" || d.Status == "failed":
	case d.Status == "running" && waitsForPromotion(d.TaskGroups["web"]):
	default:
		return fmt.Errorf("its deployment is %s", d.Status)
	}
	for _, a := range allocations {
		if (a.DesiredStatus == "run") != (a.ClientStatus == "running") && a.ClientStatus != "complete" &&
			a.ClientStatus != "failed" {
			return fmt.Errorf("allocation %s is %s", a.ID, a.ClientStatus)
		}
	}
	return nil
}

func waitsForPromotion(g *api.DeploymentState) bool {
	return g.DesiredCanaries > 0 && !g.Promoted && g.HealthyAllocs >= g.DesiredCanaries
}
