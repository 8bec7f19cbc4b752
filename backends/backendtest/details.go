package backendtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
)

// Details tests reads of single jobs on a cluster with the jobs of the scenario in package nomadtest.
func Details(t *testing.T, cluster backends.Cluster) {
	t.Helper()
	ctx := context.Background()
	jobs, err := cluster.Jobs(ctx, backends.Selection{Prefixes: []string{"p-team1-"}, Namespace: "default"})
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]backends.Job{}
	for _, job := range jobs {
		byID[job.ID] = job
	}
	detail := func(t *testing.T, id string) backends.JobDetail {
		t.Helper()
		job, err := cluster.Job(ctx, byID[id])
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	purged := byID["p-team1-web"]
	purged.ID, purged.Root = "p-team1-nosuch", "p-team1-nosuch"

	t.Run("groups, deployment and evaluations", func(t *testing.T) {
		web := detail(t, "p-team1-web")
		if web.Name != "p-team1-web" || web.Type != "service" || web.Priority != 50 || web.NodePool != "default" ||
			web.Submitted.IsZero() || web.Children != nil {
			t.Errorf("got %+v", web)
		}
		if len(web.Groups) != 1 || web.Groups[0].Count != 2 || web.Groups[0].Counts.Running != 2 ||
			len(web.Groups[0].Tasks) != 1 || web.Groups[0].Tasks[0].Driver != "raw_exec" ||
			web.Groups[0].Restart.Mode != "fail" {
			t.Errorf("got %+v", web.Groups)
		}
		if r := web.LatestDeployment; r == nil || r.Status != "successful" || len(r.Groups) != 1 ||
			r.Groups[0].Healthy != 2 || r.Groups[0].Desired != 2 {
			t.Errorf("got %+v", r)
		}
		if len(web.Evaluations) == 0 || len(web.Allocations) != 2 || web.Allocations[0].Healthy == nil ||
			!*web.Allocations[0].Healthy {
			t.Errorf("got %+v and %+v", web.Evaluations, web.Allocations)
		}
	})
	t.Run("evaluations newest first, with unplaced groups", func(t *testing.T) {
		multi := detail(t, "p-team1-multi")
		if len(multi.Unplaced) != 1 || multi.Unplaced[0].Group != "pend" {
			t.Errorf("got %+v", multi.Unplaced)
		}
		found := false
		for i, e := range multi.Evaluations {
			found = found || len(e.Unplaced) > 0
			if i > 0 && e.Created.After(multi.Evaluations[i-1].Created) {
				t.Errorf("evaluation %d is newer than the one before it", i)
			}
		}
		if !found {
			t.Errorf("got %+v, want an evaluation with unplaced groups", multi.Evaluations)
		}
	})
	t.Run("purged job", func(t *testing.T) {
		if _, err := cluster.Job(ctx, purged); !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("got %v, want %v", err, backends.ErrNotFound)
		}
		if _, err := cluster.Definition(ctx, purged, nil); !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("got %v, want %v", err, backends.ErrNotFound)
		}
	})
	t.Run("replaced allocation", func(t *testing.T) {
		moved := detail(t, "p-team1-moved").Allocations
		if len(moved) != 2 {
			t.Fatalf("got %+v", moved)
		}
		running, failed := moved[0], moved[1]
		if running.Status != "running" || failed.Status != "failed" || failed.Next != running.ID ||
			len(running.Rescheduled) != 1 || running.Rescheduled[0].Previous != failed.ID ||
			running.Rescheduled[0].Time.IsZero() {
			t.Errorf("got %+v", moved)
		}
	})
	t.Run("service checks", func(t *testing.T) {
		checked := detail(t, "p-team1-checked")
		checks := cluster.Checks(ctx, checked.Allocations)[checked.Allocations[0].ID]
		if len(checks) != 2 || checks[0].Name != "alive" || checks[0].Status != "success" || checks[1].Name != "ready" ||
			checks[1].Status != "failure" || checks[0].Service != "team1-checked" {
			t.Fatalf("got %+v", checks)
		}
		d, err := cluster.Allocation(ctx, checked.Allocations[0])
		alive, ok1 := d.Check(checks[0])
		ready, ok2 := d.Check(checks[1])
		if err != nil || !ok1 || !ok2 || alive.Type != "tcp" || alive.Port == "" || ready.Type != "http" ||
			ready.Protocol != "http" || ready.Method != "GET" || ready.Path != "/not/ready" || ready.Port != alive.Port {
			t.Errorf("got %+v, %v", d.Checks, err)
		}
	})
	t.Run("schedules", func(t *testing.T) {
		listed := []backends.Job{
			byID["p-team1-web"], byID["p-team1-cron"], byID["p-team1-crons"], byID["p-team1-off"],
			byID["p-team1-import"],
		}
		s, err := cluster.Schedules(ctx, listed)
		if err != nil || len(s) != len(listed) {
			t.Fatalf("got %+v, %v", s, err)
		}
		if len(s[0].Specs) != 0 || s[0].Parameterized || !s[0].Next.IsZero() {
			t.Errorf("a service: got %+v", s[0])
		}
		// 29 February, 5:00 in Brussels, is 4:00 UTC.
		if next := s[1].Next.UTC(); len(s[1].Specs) != 1 || s[1].TimeZone != "Europe/Brussels" ||
			next.Month() != time.February || next.Day() != 29 || next.Hour() != 4 {
			t.Errorf("cron with a time zone: got %+v", s[1])
		}
		if next := s[2].Next; len(s[2].Specs) != 2 || s[2].TimeZone != "" || next.Hour() != 5 {
			t.Errorf("crons: got %+v", s[2])
		}
		if !s[3].Disabled || !s[3].Next.IsZero() {
			t.Errorf("disabled: got %+v", s[3])
		}
		if !s[4].Parameterized || len(s[4].MetaRequired) != 1 || s[4].MetaRequired[0] != "file" ||
			s[4].Payload != "optional" {
			t.Errorf("parameterized: got %+v", s[4])
		}
	})
	t.Run("children", func(t *testing.T) {
		children := 0
		for _, job := range jobs {
			if job.Parent == "p-team1-import" {
				children++
				if job.Root != "p-team1-import" || job.Parameterized || job.Status != "dead" || job.Counts.Complete != 1 ||
					!strings.HasPrefix(job.ID, "p-team1-import/dispatch-") {
					t.Errorf("got %+v", job)
				}
				if d, err := cluster.Job(ctx, job); err != nil || d.Schedule.Parameterized {
					t.Errorf("got %+v, %v", d.Schedule, err)
				}
			}
		}
		parent := detail(t, "p-team1-import")
		if children != 1 || parent.Children == nil || parent.Children.Dead != 1 {
			t.Errorf("got %d children and %+v", children, parent.Children)
		}
	})
	t.Run("definitions of all versions", func(t *testing.T) {
		versions := byID["p-team1-versions"]
		for _, tc := range []struct {
			version *uint64
			want    string
		}{{nil, `"new"`}, {new(uint64), `"old"`}} {
			raw, err := cluster.Definition(ctx, versions, tc.version)
			var job struct{ ID string }
			if err != nil || json.Unmarshal(raw, &job) != nil || job.ID != "p-team1-versions" ||
				!bytes.Contains(raw, []byte(tc.want)) {
				t.Errorf("version %v: got %s, %v, want %s", tc.version, raw, err, tc.want)
			}
		}
		nine := uint64(9)
		if _, err := cluster.Definition(ctx, versions, &nine); err == nil ||
			err.Error() != "version 9 not found (Nomad has: 1, 0)" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("task definitions and node", func(t *testing.T) {
		a := detail(t, "p-team1-multi").Allocations[0]
		d, err := cluster.Allocation(ctx, a)
		if err != nil || len(d.Tasks) != 2 || d.Tasks[0].Name != "app" || d.Disk == 0 {
			t.Errorf("got %+v, %v", d, err)
		}
		if task := d.Task("sidecar"); task.Driver != "raw_exec" || task.CPU == 0 || task.Memory == 0 ||
			task.Restart.Mode != "fail" {
			t.Errorf("got %+v", task)
		}
		if got := cluster.NodeStates(ctx, []backends.Allocation{a, a}); len(got) != 1 ||
			got[a.NodeID] != (backends.NodeState{Status: "ready"}) {
			t.Errorf("got the nodes %+v", got)
		}
		if address, err := cluster.NodeAddress(ctx, a); err != nil || address != "127.0.0.1" {
			t.Errorf("got %q, %v", address, err)
		}
		a.ID = "00000000-0000-0000-0000-000000000000"
		if _, err := cluster.Allocation(ctx, a); !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("got %v, want %v", err, backends.ErrNotFound)
		}
	})
}
