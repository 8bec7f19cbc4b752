package router

import (
	"testing"

	"nomadctld/backends"
)

func TestPart_GroupIn(t *testing.T) {
	job := backends.JobDetail{Job: backends.Job{ID: "shop"}, Groups: []backends.Group{
		{Name: "db"}, {Name: "web", Tasks: []backends.TaskDefinition{{Name: "nginx"}, {Name: "app"}}},
	}}
	for _, tc := range []struct {
		part Part
		want string // the group, or the error; empty: the whole job
	}{
		{Part{}, ""},
		{Part{Group: "web"}, "web"},
		{Part{Group: "web", Task: "app"}, "web"},
		{Part{Group: "web", Task: "sidecar"}, "group web of shop has no task sidecar (it has app, nginx)"},
		{Part{Group: "api"}, "shop has no group api (it has db, web)"},
	} {
		group, err := tc.part.GroupIn(job)
		got := ""
		switch {
		case err != nil:
			got = err.Error()
		case group != nil:
			got = group.Name
		}
		if got != tc.want {
			t.Errorf("%+v: got %q, want %q", tc.part, got, tc.want)
		}
	}
}
