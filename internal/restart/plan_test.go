package restart

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
)

// newAllocation returns an allocation with the index n of the group web, with a running task nginx.
func newAllocation(n int, changes ...func(*backends.Allocation)) backends.Allocation {
	a := backends.Allocation{
		ID: strings.Repeat(fmt.Sprint(n), 8) + "-0000", JobID: "web", JobType: "service", Name: fmt.Sprintf("web.web[%d]", n),
		Group: "web", Node: "n1", Status: "running", Desired: "run", Created: time.Unix(1000, 0),
		Tasks: []backends.Task{{Name: "nginx", ExecID: "e1", State: "running", Started: time.Unix(1001, 0)}},
	}
	for _, change := range changes {
		change(&a)
	}
	return a
}

func status(status string) func(*backends.Allocation) {
	return func(a *backends.Allocation) { a.Status = status }
}

func group(group string) func(*backends.Allocation) {
	return func(a *backends.Allocation) { a.Group = group }
}

// withTask adds a task to an allocation.
func withTask(name, state string) func(*backends.Allocation) {
	return func(a *backends.Allocation) {
		a.Tasks = append(a.Tasks, backends.Task{Name: name, State: state, Started: time.Unix(1001, 0)})
	}
}

// newService returns a service with a group web.
func newService(allocations ...backends.Allocation) (job backends.JobDetail) {
	job.ID, job.Type, job.Version, job.ModifyIndex = "web", "service", 3, 7
	always := backends.ReschedulePolicy{Unlimited: true}
	job.Groups = []backends.Group{{Name: "web", Count: len(allocations), Reschedule: always}}
	job.Allocations = allocations
	return job
}

// indexes returns the indexes of allocations in their groups.
func indexes(allocations []backends.Allocation) (all string) {
	for _, a := range allocations {
		all += a.ID[:1]
	}
	return all
}

func TestNewPlan(t *testing.T) {
	for name, tc := range map[string]struct {
		part                                      Part
		prepare                                   func(*backends.JobDetail)
		targets, failed, unreschedulable, skipped string
		missing                                   int
	}{
		"job":               {targets: "016", failed: "2", skipped: "34"},
		"group":             {part: Part{Group: "web"}, targets: "01", failed: "2", skipped: "34"},
		"another group":     {part: Part{Group: "db"}, targets: "6"},
		"task":              {part: Part{Group: "web", Task: "sidecar"}, targets: "1", failed: "2", skipped: "34"},
		"allocation":        {part: Part{AllocationID: newAllocation(1).ID}, targets: "1"},
		"task, allocation":  {part: Part{AllocationID: newAllocation(0).ID, Task: "sidecar"}},
		"failed allocation": {part: Part{AllocationID: newAllocation(2).ID}, failed: "2"},
		"pending":           {part: Part{AllocationID: newAllocation(3).ID}, skipped: "3"},
		"complete":          {part: Part{AllocationID: newAllocation(5).ID}},
		"no attempts": {
			prepare: func(j *backends.JobDetail) { j.Groups[0].Reschedule.Unlimited = false },
			targets: "016", unreschedulable: "2", skipped: "34",
		},
		"two are missing": {
			prepare: func(j *backends.JobDetail) {
				j.Allocations = []backends.Allocation{newAllocation(0)}
				j.Groups[0].Count = 3
			},
			targets: "0", missing: 2,
		},
		"missing, of a task": {
			part: Part{Group: "web", Task: "nginx"},
			prepare: func(j *backends.JobDetail) {
				j.Allocations = []backends.Allocation{newAllocation(0)}
				j.Groups[0].Count = 3
			},
			targets: "0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			job := newService(newAllocation(0), newAllocation(1, withTask("sidecar", "running")),
				newAllocation(2, status("failed")), newAllocation(3, status("pending")), newAllocation(4, status("unknown")),
				newAllocation(5, status("complete")), newAllocation(6, group("db")))
			if tc.prepare != nil {
				tc.prepare(&job)
			}
			plan := NewPlan(job, tc.part)
			var targets []backends.Allocation
			for _, target := range plan.Targets {
				targets = append(targets, target.Allocation)
				if target.task != tc.part.Task {
					t.Errorf("the target is task %q, want %q", target.task, tc.part.Task)
				}
			}
			got := [...]string{
				indexes(targets), indexes(plan.Failed), indexes(plan.Unreschedulable), indexes(plan.Skipped),
			}
			if want := [...]string{tc.targets, tc.failed, tc.unreschedulable, tc.skipped}; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if plan.Missing["web"] != tc.missing {
				t.Errorf("got %v missing, want %d", plan.Missing, tc.missing)
			}
		})
	}
}

func TestPlan_Check(t *testing.T) {
	failed := newAllocation(1, status("failed"))
	for name, tc := range map[string]struct {
		job  backends.JobDetail
		want string // of the error; empty: none
	}{
		"running": {newService(newAllocation(0)), ""},
		"failed":  {newService(failed), ""},
		"nothing": {newService(), "web/web has no running allocations (see: status web)"},
		"pending and unknown": {
			newService(newAllocation(0, status("pending")), newAllocation(1, status("unknown"))),
			"web/web has nothing to restart: web[0] 00000000 is pending, " +
				"web[1] 11111111 is on a disconnected node and may still be running (see: status web)",
		},
		"batch job without attempts": {
			func() backends.JobDetail {
				job := newService(newAllocation(0), failed)
				job.Type, job.Groups[0].Reschedule.Unlimited = "batch", false
				return job
			}(),
			"1 failed allocation of web cannot be replaced: the reschedule block of group web allows no attempts",
		},
	} {
		err := NewPlan(tc.job, Part{}).Check("web/web")
		if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func TestCheckRestartable(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*backends.JobDetail)
		want    string // start of the error; empty: none
	}{
		"running":       {func(*backends.JobDetail) {}, ""},
		"stopped":       {func(j *backends.JobDetail) { j.Stopped = true }, "web is stopped (see: start web)"},
		"periodic":      {func(j *backends.JobDetail) { j.Periodic = true }, "web has no tasks of its own"},
		"parameterized": {func(j *backends.JobDetail) { j.Parameterized = true }, "web has no tasks of its own"},
		"deployed": {func(j *backends.JobDetail) {
			j.LatestDeployment = &backends.Deployment{Status: "successful"}
		}, ""},
		"being deployed": {
			func(j *backends.JobDetail) {
				j.LatestDeployment = &backends.Deployment{ID: "d1d1d1d1-0000", Version: 3, Status: "running"}
			},
			"web is being deployed: deployment d1d1d1d1 of version 3 is running",
		},
	} {
		job := newService(newAllocation(0))
		tc.prepare(&job)
		err := CheckRestartable(job)
		if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
