package nomadtest

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Register registers a test's own job or a new version of it, on both kinds of cluster. At the end of the test, the
// job is purged with its children.
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

// quickGroup returns a group "web" with a short deployment.
func quickGroup(task *api.Task) *api.TaskGroup {
	g := group("web", 1, task)
	g.Update = &api.UpdateStrategy{
		HealthCheck: pointer("task_states"), MinHealthyTime: pointer(100 * time.Millisecond),
		HealthyDeadline: pointer(30 * time.Second), ProgressDeadline: pointer(time.Minute),
	}
	return g
}

// sleepTask returns a task "web" that sleeps, with MODE in its environment. On SIGHUP it writes "hup" and continues.
func sleepTask(mode string) *api.Task {
	t := task("web", []string{"/bin/sh", "-c", `trap "echo hup" HUP; while :; do sleep 0.2; done`})
	t.Env = map[string]string{"MODE": mode}
	return t
}

// Scalable returns a service with one allocation of a group "web" that can be scaled from one to three.
func Scalable(id, mode string) *api.Job {
	g := quickGroup(sleepTask(mode))
	g.Scaling = &api.ScalingPolicy{Min: pointer(int64(1)), Max: pointer(int64(3)), Enabled: pointer(true)}
	return service("default", id, g)
}

// Canary returns a service whose updates start with one canary, which must be promoted.
func Canary(id, mode string) *api.Job {
	g := quickGroup(sleepTask(mode))
	g.Update.Canary = pointer(1)
	return service("default", id, g)
}

// FinishedBatch returns a batch job whose task "run" exits immediately.
func FinishedBatch(id string) *api.Job { return batch(id) }

// Periodic returns a periodic job with prohibit_overlap whose only scheduled day is February 29.
func Periodic(id string) *api.Job {
	return periodic(id, &api.PeriodicConfig{Spec: pointer(leapDayCron), ProhibitOverlap: pointer(true)})
}

// Parameterized returns a job that requires the meta "file" and accepts a payload.
func Parameterized(id string) *api.Job { return parameterized(id, "file") }

// ThreeAllocations is Scalable with three allocations, whose tasks sleep without a shell.
func ThreeAllocations(id, mode string) *api.Job {
	job := Scalable(id, mode)
	job.TaskGroups[0].Count = new(3)
	SetSleep(job.TaskGroups[0].Tasks[0])
	return job
}

// SetSleep makes a task sleep for an hour, without a shell.
func SetSleep(t *api.Task) {
	t.Config = map[string]any{"command": "/bin/sleep", "args": []string{"3600"}}
}
