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
