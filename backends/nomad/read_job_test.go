package nomad

import (
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

func TestJobDetail_ActionsAndLimits(t *testing.T) {
	definition := &api.Job{
		ID: new("web"), Name: new("web"), Type: new("batch"), Version: new(uint64(0)), Stop: new(false),
		Status: new("running"), DispatchIdempotencyToken: new("once"),
		TaskGroups: []*api.TaskGroup{{
			Name: new("api"), MaxRunDuration: new(time.Hour),
			Tasks: []*api.Task{{Name: "app", Actions: []*api.Action{{Name: "flush"}, {Name: "dump"}}}},
		}},
	}
	got := jobDetail(backends.Job{ID: "web"}, definition, nil, nil, nil, nil, nil)
	want := []backends.Action{{Name: "flush", Group: "api", Task: "app"}, {Name: "dump", Group: "api", Task: "app"}}
	if !reflect.DeepEqual(got.Actions, want) || got.IdempotencyToken != "once" || got.Groups[0].MaxRun != time.Hour {
		t.Errorf("got %+v, token %q and limit %v", got.Actions, got.IdempotencyToken, got.Groups[0].MaxRun)
	}
	definition.Type = new("service") // Nomad ignores the limit
	if got := jobDetail(backends.Job{}, definition, nil, nil, nil, nil, nil); got.Groups[0].MaxRun != 0 {
		t.Errorf("of a service: got the limit %v", got.Groups[0].MaxRun)
	}
}

// TestReschedule_FailedDeployment has a failed allocation of each version. Nomad replaces only the one whose version is
// not that of the failed deployment.
func TestReschedule_FailedDeployment(t *testing.T) {
	at := time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC)
	stubs := []*api.AllocationListStub{
		{ID: "a", Name: "web.g[0]", JobID: "web", JobVersion: 0, ClientStatus: "failed", FollowupEvalID: "waits"},
		{ID: "b", Name: "web.g[1]", JobID: "web", JobVersion: 1, ClientStatus: "failed", FollowupEvalID: "waits"},
	}
	evaluations := []*api.Evaluation{{ID: "waits", JobID: "web", Status: "pending", WaitUntil: at}}
	failed := &api.Deployment{ID: "d", JobID: "web", JobVersion: 1, Status: "failed", CreateIndex: 9}
	check := func(what string, all []backends.Allocation) {
		t.Helper()
		if len(all) != 2 || !all[0].RescheduleAt.Equal(at) || !all[1].RescheduleAt.IsZero() ||
			!all[0].ReschedulePending || all[1].ReschedulePending {
			t.Errorf("%s: got %+v", what, all)
		}
	}
	list := buildJobs("t", []*api.JobListStub{{ID: "web"}}, stubs, []*api.Deployment{failed}, evaluations)
	check("list", list[0].Allocations)
	definition := &api.Job{
		ID: new("web"), Name: new("web"), Type: new("service"), Version: new(uint64(1)), Stop: new(false),
		Status: new("running"),
	}
	check("job", jobDetail(backends.Job{ID: "web"}, definition, nil, nil, stubs, failed, evaluations).Allocations)
}
