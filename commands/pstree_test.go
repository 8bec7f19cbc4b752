package commands

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/render"
)

// TestPstree_Problems checks that the tree has the tasks that need attention and the groups that cannot be placed, with
// the reasons.
func TestPstree_Problems(t *testing.T) {
	now := time.Unix(100000, 0)
	unhealthy := backends.Allocation{
		Group: "web", Status: "running", Healthy: new(false), Tasks: []backends.Task{
			{ExecID: "1111111111", Name: "app", State: "running", Events: []backends.Event{
				{Type: "Alloc Unhealthy", Message: "Task not running by deadline"},
			}},
			{ExecID: "2222222222", Name: "next", State: "pending", Events: []backends.Event{
				{Type: "Driver Failure", Message: "no\x1bimage"},
			}},
		},
	}
	healthy := backends.Allocation{
		Group: "web", Status: "running", Tasks: []backends.Task{{ExecID: "3333333333", Name: "app", State: "running"}},
	}
	replaced := backends.Allocation{
		Group: "web", Status: "failed", Next: "x", Tasks: []backends.Task{
			{ExecID: "4444444444", Name: "app", State: "dead", Failed: true},
		},
	}
	noTasks := backends.Allocation{ID: "55555555-5", Group: "db", Status: "failed"}
	failed := backends.Allocation{
		Group: "web", Status: "running", Tasks: []backends.Task{
			{ExecID: "6666666666", Name: "app", State: "dead", Failed: true},
		},
	}
	unplaced := func(groups ...string) (all []backends.UnplacedGroup) {
		for _, g := range groups {
			all = append(all, backends.UnplacedGroup{Group: g, Count: 1, Reasons: []string{"not enough memory on 2 nodes"}})
		}
		return all
	}
	tree := jobTree([]backends.Job{
		{ID: "idle", Status: "running"},
		{ID: "never", Status: "pending", Unplaced: unplaced("web")},
		{ID: "nevertwo", Status: "pending", Unplaced: unplaced("db", "web")},
		{
			ID: "partly", Status: "running", Unplaced: unplaced("db"), Allocations: []backends.Allocation{unhealthy},
			DeploymentStatus: "running", LatestDeployment: &backends.Deployment{Status: "running"},
		},
		{ID: "stopped", Status: "running", Stopped: true, Unplaced: unplaced("db")},
		{
			ID: "web", Status: "running", Allocations: []backends.Allocation{healthy, replaced, noTasks, failed},
			LatestDeployment: &backends.Deployment{Status: "failed"},
		},
	}, nil, now)
	var b strings.Builder
	if err := tree.Write(&b, render.Style{}); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(b.String(), "(age)")
	want := `.
├── never
│   └── never placed: not enough memory on 2 nodes
├── nevertwo
│   ├── db never placed: not enough memory on 2 nodes
│   └── web never placed: not enough memory on 2 nodes
├── partly
│   ├── web
│   │   ├── [1111111111]  app (age) - unhealthy: missed its deadline
│   │   └── [2222222222]  next (age) - pending: no\x1bimage
│   └── db not placed: not enough memory on 2 nodes
└── web
    ├── web
    │   ├── [3333333333]  app (age) -
    │   ├── [4444444444]  app (age) - failed
    │   └── [6666666666]  app (age) - dead
    └── db
        └── allocation 55555555 (age) failed: gave up
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
