package router

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/ops"
)

func TestSavedDefinitions_DeletedWhenRunning(t *testing.T) {
	for name, tc := range map[string]struct {
		listed func(*backends.Job)
		want   bool // still saved
	}{
		"registered again":  {func(j *backends.Job) { j.ModifyIndex = 8 }, false},
		"about to stop":     {func(j *backends.Job) { j.ModifyIndex = 7 }, true},
		"stopped":           {func(j *backends.Job) { j.ModifyIndex, j.Stopped = 8, true }, true},
		"another namespace": {func(j *backends.Job) { j.ModifyIndex, j.Namespace = 8, "other" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestGateway(acl.Group{Prefixes: []string{"p-team1-"}, Rights: []string{"look"}})
			w.Ops, _ = ops.Open(filepath.Join(t.TempDir(), "jobs"), ops.Key{1})
			web := backends.JobRef{Tier: "production", Namespace: "default", ID: "p-team1-web", Root: "p-team1-web"}
			definition := json.RawMessage(`{"ID":"p-team1-web","Namespace":"default","JobModifyIndex":7}`)
			if _, err := w.Ops.Save(ops.Stopped, web, "ann", "stop p-team1-web", definition, 1, 1); err != nil {
				t.Fatal(err)
			}
			listed := job("production", "default", "p-team1-web")
			tc.listed(&listed)
			w.production.jobs = []backends.Job{listed}
			before := commandTable
			defer func() { commandTable = before }()
			commandTable = map[string]func() Command{}
			Register(func() Command {
				return probe{
					Spec{Name: "look", Args: "JOB", Target: TargetJob, RightSet: Read},
					func(context.Context, *Request) error { return nil },
				}
			})
			if err := w.run("look p-team1-web"); err != nil {
				t.Fatal(err)
			}
			if _, ok := w.Ops.FindSaved(ops.Stopped, web); ok != tc.want {
				t.Errorf("saved: %v, want %v", ok, tc.want)
			}
		})
	}
}
