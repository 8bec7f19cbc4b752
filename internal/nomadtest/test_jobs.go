package nomadtest

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Register registers a job of a test's own, on either kind of cluster in the same way, or a new version of one. At the
// end of the test it is purged, with its children. It belongs to no team of the scenario if its ID says so.
func (c Cluster) Register(t *testing.T, job *api.Job) {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: c.URL, SecretID: Token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := register(client, job); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		of := &api.QueryOptions{Namespace: *job.Namespace, Prefix: *job.ID}
		left, _, err := client.Jobs().List(of)
		if err != nil {
			t.Errorf("purge %s: %v", *job.ID, err)
		}
		for _, stub := range left {
			if stub.ID != *job.ID && !strings.HasPrefix(stub.ID, *job.ID+"/") {
				continue
			}
			if _, _, err := client.Jobs().Deregister(stub.ID, true, &api.WriteOptions{Namespace: *job.Namespace}); err != nil {
				t.Errorf("purge %s: %v", stub.ID, err)
			}
		}
	})
}

// quickGroup returns a group "web" whose deployments take no longer than they must.
func quickGroup(task *api.Task) *api.TaskGroup {
	g := group("web", 1, task)
	g.Update = &api.UpdateStrategy{
		HealthCheck: pointer("task_states"), MinHealthyTime: pointer(100 * time.Millisecond),
		HealthyDeadline: pointer(30 * time.Second), ProgressDeadline: pointer(time.Minute),
	}
	return g
}

// sleepTask returns a task "web" that sleeps with MODE in its environment, and survives SIGHUP, of which it says "hup".
func sleepTask(mode string) *api.Task {
	t := task("web", []string{"/bin/sh", "-c", `trap "echo hup" HUP; while :; do sleep 0.2; done`})
	t.Env = map[string]string{"MODE": mode}
	return t
}

// Scalable returns a service with one allocation of a group "web", of which there may be one to three.
func Scalable(id, mode string) *api.Job {
	g := quickGroup(sleepTask(mode))
	g.Scaling = &api.ScalingPolicy{Min: pointer(int64(1)), Max: pointer(int64(3)), Enabled: pointer(true)}
	return service("default", id, g)
}

// Canary returns a service of which each new version begins with one canary that has to be promoted.
func Canary(id, mode string) *api.Job {
	g := quickGroup(sleepTask(mode))
	g.Update.Canary = pointer(1)
	return service("default", id, g)
}

// FinishedBatch returns a batch job whose task "run" ends at once.
func FinishedBatch(id string) *api.Job { return batch(id) }

// Periodic returns a periodic job that may not overlap and launches by itself only on the 29th of February.
func Periodic(id string) *api.Job {
	return periodic(id, &api.PeriodicConfig{Spec: pointer(yearlyCron), ProhibitOverlap: pointer(true)})
}

// Parameterized returns a job that needs the meta "file", and may have a payload.
func Parameterized(id string) *api.Job { return parameterized(id, "file") }
