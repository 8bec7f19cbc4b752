package nomad

import (
	"slices"
	"testing"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

func TestCheckDefinitions(t *testing.T) {
	service := func(name, task string, checks ...api.ServiceCheck) *api.Service {
		return &api.Service{Name: name, TaskName: task, Provider: "nomad", PortLabel: "http", Checks: checks}
	}
	consul := service("consul", "", api.ServiceCheck{Name: "other", Type: "http"})
	consul.Provider = "consul"
	got := checkDefinitions(&api.TaskGroup{
		Services: []*api.Service{
			service("web", "", api.ServiceCheck{Name: "alive", Type: "tcp", Path: "/ignored", Method: "PUT"},
				api.ServiceCheck{Name: "ready", Type: "http", Path: "/ready"}),
			consul,
		},
		Tasks: []*api.Task{{Name: "app", Services: []*api.Service{service("app", "app", api.ServiceCheck{
			Name: "deep", Type: "http", Path: "/deep", Method: "POST", Protocol: "https", PortLabel: "admin",
		})}}},
	})
	want := []backends.CheckDefinition{
		{Service: "web", Name: "alive", Type: "tcp", Port: "http"},
		{Service: "web", Name: "ready", Type: "http", Protocol: "http", Method: "GET", Path: "/ready", Port: "http"},
		{
			Service: "app", Name: "deep", Task: "app", Type: "http", Protocol: "https", Method: "POST", Path: "/deep",
			Port: "admin",
		},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
