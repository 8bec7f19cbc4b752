package router

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"nomadctld/backends"
)

// FuzzResolve resolves selectors among an owned job with arbitrary names, in the presence of jobs that are not owned. A
// command gets only owned targets, the jobs that are not owned do not change the response, and the name or ID of a
// target selects that target again.
func FuzzResolve(f *testing.F) {
	kinds := []TargetKind{TargetJob, TargetPart, TargetTask, TargetJobOrTask}
	for kind := range kinds {
		for _, selector := range []string{
			"p-team1-web", "p-team1-web/g", "p-team1-web/g/app", "p-team1-web.g[1]", "p-team1-web/g[1]", "p-team1-web/g[1]/app",
			"p-team1-web.g[0]/sidecar", "p-team1-web/g/", "p-team1-web/", "p-team1-web/periodic-2", "p-team2-web",
			"p-team2-web/g[0]", "aaaa1111-0000", "AAAA", "aaa", backends.ExecID("app", "aaaa2222-0000"),
			backends.ExecID("web", "aaaa3333-0000"), "-n", "--", "",
		} {
			f.Add(selector, "web", "g", "app", uint8(kind))
		}
		f.Add("p-team1-/dispatch-1/g[0]/x", "/dispatch-1", "g[0]", "x", uint8(kind))
		f.Add("p-team1-web/g[0]", "web/g[0]", "g", "g", uint8(kind))
	}
	f.Fuzz(func(t *testing.T, selector, name, group, task string, kind uint8) {
		target := kinds[int(kind)%len(kinds)]
		id := "p-team1-" + name
		tasks := map[string]string{task: "running", "sidecar": "running"}
		owned := ownedJob("production", "default", id, "aaaa1111-0000", tasks)
		for i, allocation := range []string{"aaaa1111-0000", "aaaa2222-0000"} {
			next := ownedJob("production", "default", id, allocation, tasks)
			a := next.Allocations[0]
			a.Group, a.Name = group, fmt.Sprintf("%s.%s[%d]", id, group, i)
			owned.Allocations = append(owned.Allocations[:i], a)
		}
		running := map[string]string{"web": "running"}
		child := ownedJob("production", "default", "p-team1-web/periodic-2", "aaaa4444-0000", running)
		child.Root, child.Allocations[0].Root = "p-team2-web", "p-team2-web"
		others := []backends.Job{
			ownedJob("production", "default", "p-team2-web", "aaaa3333-0000", running), child,
			ownedJob("production", "default", "p-team1", "aaaa5555-0000", running),
			ownedJob("production", "default", "q-team1-web", "aaaa6666-0000", running), // in another tier than its prefix
		}

		var got *Target
		spec := Spec{Name: "probe", Args: "SELECTOR", Target: target}
		register(t, spec, func(_ context.Context, req *Request) error {
			got = &req.Target
			return nil
		})
		respond := func(jobs ...backends.Job) (*Target, string) {
			got = nil
			w := newTestGateway()
			w.production.jobs = jobs
			err := w.run("probe -- '" + strings.ReplaceAll(selector, "'", `'\''`) + "'")
			return got, fmt.Sprint(err, w.event(t).Decision)
		}
		alone, response := respond(owned)
		among, same := respond(append(others, owned)...)
		if response != same || !reflect.DeepEqual(alone, among) {
			t.Errorf("got %v, %s, but with jobs that are not owned %v, %s", alone, response, among, same)
		}
		if alone == nil {
			return
		}
		if alone.Job.ID != id || alone.Task != nil && alone.Allocation == nil {
			t.Errorf("got %+v, want a part of %s", alone, id)
		}
		var again string
		switch {
		case alone.Task != nil:
			again = alone.Task.ExecID
		case alone.Allocation != nil:
			again = alone.Allocation.ID
		default:
			again = alone.Job.ID
			for _, part := range []string{alone.Part.Group, alone.Part.Task} {
				if part != "" {
					again += "/" + part
				}
			}
		}
		if found := findMatches([]backends.Job{owned}, again, target); len(found) != 1 ||
			!reflect.DeepEqual(found[0], *alone) {
			t.Errorf("%q is resolved to %+v, but its name %q to %+v", selector, alone, again, found)
		}
	})
}
