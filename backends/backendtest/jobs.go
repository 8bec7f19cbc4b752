// Package backendtest is the conformance suite of the interfaces in backends. It owns the expectations that all
// implementations share. It must not depend on an implementation.
package backendtest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"nomadctld/backends"
)

// Jobs tests lists on a cluster with the jobs of the scenario in package nomadtest. evil is the ID of a job with
// terminal escape sequences in its name.
func Jobs(t *testing.T, cluster backends.Cluster, evil string) {
	t.Helper()
	list := func(t *testing.T, s backends.Selection) map[string]backends.Job {
		t.Helper()
		jobs, err := cluster.Jobs(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(jobs,
			func(a, b backends.Job) int { return strings.Compare(a.ID+"\x00"+a.Namespace, b.ID+"\x00"+b.Namespace) }) {
			t.Error("the jobs are not sorted by ID and namespace")
		}
		byID := map[string]backends.Job{}
		for _, job := range jobs {
			byID[job.ID+"@"+job.Namespace] = job
		}
		return byID
	}
	team1 := backends.Selection{Prefixes: []string{"p-team1-"}}

	t.Run("job with allocations, tasks and deployment", func(t *testing.T) {
		web := list(t, team1)["p-team1-web@default"]
		if web.Type != "service" || web.Status != "running" || web.Root != "p-team1-web" ||
			web.DeploymentStatus != "successful" || len(web.Allocations) != 2 {
			t.Fatalf("got %+v", web)
		}
		for i, a := range web.Allocations {
			if want := []string{"p-team1-web.web[0]", "p-team1-web.web[1]"}[i]; a.Name != want {
				t.Errorf("allocation %d: got %s, want %s", i, a.Name, want)
			}
			if a.Status != "running" || a.Desired != "run" || a.Group != "web" || a.Node != "node-1" ||
				a.JobID != "p-team1-web" || a.Root != "p-team1-web" || a.Created.IsZero() {
				t.Errorf("got %+v", a)
			}
			if len(a.Tasks) != 1 || a.Tasks[0].State != "running" || a.Tasks[0].Started.IsZero() ||
				a.Tasks[0].ExecID != backends.ExecID("web", a.ID) {
				t.Errorf("got %+v", a.Tasks)
			}
		}
	})
	t.Run("tasks sorted by name", func(t *testing.T) {
		multi := list(t, team1)["p-team1-multi@default"]
		if len(multi.Allocations) != 1 || len(multi.Allocations[0].Tasks) != 2 ||
			multi.Allocations[0].Tasks[0].Name != "app" || multi.Allocations[0].Tasks[1].Name != "sidecar" {
			t.Errorf("got %+v", multi.Allocations)
		}
	})
	t.Run("reasons of an unplaced group", func(t *testing.T) {
		unplaced := list(t, team1)["p-team1-multi@default"].Unplaced
		if len(unplaced) != 1 || unplaced[0].Group != "pend" ||
			!slices.Equal(unplaced[0].Reasons, []string{`constraint "${attr.kernel.name} = windows" filtered 1 node`}) {
			t.Errorf("got %+v", unplaced)
		}
	})
	t.Run("failures and events", func(t *testing.T) {
		fail := list(t, team1)["p-team1-fail@default"]
		if fail.DeploymentStatus != "failed" || len(fail.Allocations) != 1 || fail.Allocations[0].Status != "failed" {
			t.Fatalf("got %+v", fail)
		}
		task := fail.Allocations[0].Tasks[0]
		terminated := 0
		for _, e := range task.Events {
			if e.Type == "Terminated" && strings.Contains(e.Message, "Exit Code: 3") {
				terminated++
			}
		}
		last := task.Events[len(task.Events)-1]
		if task.State != "dead" || !task.Failed || task.Restarts != 2 || terminated != 3 || task.Finished.IsZero() ||
			last.Time.Before(task.Events[0].Time) {
			t.Errorf("got %+v", task)
		}
		if slow := list(t, team1)["p-team1-slow@default"]; slow.DeploymentStatus != "failed" ||
			slow.Allocations[0].Status != "running" {
			t.Errorf("got %+v", slow)
		}
	})
	t.Run("hidden allocations on request", func(t *testing.T) {
		if done, ok := list(t, team1)["p-team1-done@default"]; !ok || len(done.Allocations) != 0 {
			t.Errorf("got %+v", done)
		}
		all := team1
		all.IncludeHidden = true
		if done := list(t, all)["p-team1-done@default"]; len(done.Allocations) != 1 ||
			done.Allocations[0].Status != "complete" || done.Type != "batch" || done.DeploymentStatus != "" {
			t.Errorf("got %+v", done)
		}
	})
	t.Run("prefixes", func(t *testing.T) {
		for id := range list(t, team1) {
			if !strings.HasPrefix(id, "p-team1-") {
				t.Errorf("got %q", id)
			}
		}
		two := list(t, backends.Selection{Prefixes: []string{"p-team2-", "q-"}})
		if _, shop := two["p-team2-shop@default"]; !shop || len(two) != 2 {
			t.Errorf("got %d jobs of two prefixes, want 2", len(two))
		}
	})
	t.Run("prefix that a filter cannot express", func(t *testing.T) {
		if _, ok := list(t, backends.Selection{Prefixes: []string{"`", "p-team1-w"}})["p-team1-web@default"]; !ok {
			t.Error("the job is missing")
		}
	})
	t.Run("namespace", func(t *testing.T) {
		other := team1
		other.Namespace = "other"
		if jobs := list(t, other); len(jobs) != 1 || len(jobs["p-team1-web@other"].Allocations) != 1 {
			t.Errorf("got %+v", jobs)
		}
		other.Namespace = "nope"
		if jobs := list(t, other); len(jobs) != 0 {
			t.Errorf("got %+v", jobs)
		}
	})
	t.Run("any job ID", func(t *testing.T) {
		if job := list(t, team1)[evil+"@default"]; len(job.Allocations) != 1 {
			t.Errorf("got %+v", job)
		}
	})
	t.Run("usage of tasks", func(t *testing.T) {
		multi := list(t, team1)["p-team1-multi@default"]
		usage := cluster.Usage(context.Background(), multi.Allocations)
		for _, task := range multi.Allocations[0].Tasks {
			if u, ok := usage[task.ExecID]; !ok || u.CPU == nil || u.Memory == nil || *u.Memory == 0 {
				t.Errorf("%s: got %+v", task.Name, u)
			}
		}
		if len(usage) != 2 {
			t.Errorf("got the usage of %d tasks, want 2", len(usage))
		}
	})
	t.Run("usage of a failed job", func(t *testing.T) {
		if usage := cluster.Usage(context.Background(), list(t, team1)["p-team1-fail@default"].Allocations); len(usage) != 0 {
			t.Errorf("got %+v", usage)
		}
	})
}
