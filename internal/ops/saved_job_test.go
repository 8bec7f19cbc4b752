package ops

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"nomadctld/backends"
)

func TestSavedDefinitions_OfOneJob(t *testing.T) {
	r := open(t, filepath.Join(t.TempDir(), "jobs"))
	saved := r.SavedDefinitions(web, "wim", "stop p-team1-web")
	first, err := saved.Save(Stopped, webDefinition, 3, 7)
	if err != nil {
		t.Fatal(err)
	}
	second, err := saved.Save(Stopped, webDefinition, 4, 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := saved.DeleteByID(first); err != nil { // the second has replaced it
		t.Error(err)
	}
	entry, ok := saved.Find(Stopped)
	if !ok || entry.ID != second || entry.Version != 4 || entry.User != "wim" || entry.Definition != nil {
		t.Errorf("got %+v, %v, want the second without its definition", entry, ok)
	}
	loaded, ok, err := saved.Load(Stopped)
	if !ok || err != nil || string(loaded.Definition) != string(webDefinition) {
		t.Errorf("got %+v, %v, %v", loaded, ok, err)
	}
	other := web
	other.ID, other.Root = "p-team1-api", "p-team1-api"
	if _, ok := r.SavedDefinitions(other, "wim", "").Find(Stopped); ok {
		t.Error("found the definition of another job")
	}
	if _, ok := saved.Find(Released); ok {
		t.Error("found a definition of another kind")
	}
	if err := saved.Delete(Stopped); err != nil {
		t.Error(err)
	}
	if _, ok := saved.Find(Stopped); ok {
		t.Error("still saved after Delete")
	}
}

func TestDropOutdated(t *testing.T) {
	listed := func(change func(*backends.Job)) []backends.Job {
		job := backends.Job{
			Tier: web.Tier, Namespace: web.Namespace, ID: web.ID, Root: web.Root, ModifyIndex: 8, Status: "running",
		}
		change(&job)
		return []backends.Job{{ID: "p-team1-api", ModifyIndex: 9}, job}
	}
	for name, tc := range map[string]struct {
		change func(*backends.Job)
		want   bool // still saved
	}{
		"registered again":     {func(*backends.Job) {}, false},
		"about to stop":        {func(j *backends.Job) { j.ModifyIndex = 7 }, true},
		"stopped":              {func(j *backends.Job) { j.Stopped = true }, true},
		"another namespace":    {func(j *backends.Job) { j.Namespace = "other" }, true},
		"through another tier": {func(j *backends.Job) { j.Tier = "again" }, false},
		"another cluster":      {func(j *backends.Job) { j.Tier = "integration" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, filepath.Join(t.TempDir(), "jobs"))
			r.Cluster = func(tier string) string {
				if tier == "again" {
					return web.Tier
				}
				return tier
			}
			definition := json.RawMessage(`{"ID":"p-team1-web","Namespace":"default","JobModifyIndex":7}`)
			saved := r.SavedDefinitions(web, "wim", "stop p-team1-web")
			if _, err := saved.Save(Stopped, definition, 3, 1); err != nil {
				t.Fatal(err)
			}
			if _, err := saved.Save(Released, definition, 3, 1); err != nil {
				t.Fatal(err)
			}
			r.DeleteOutdated(listed(tc.change), func(_ SavedDefinition, err error) { t.Error(err) })
			if _, ok := saved.Find(Stopped); ok != tc.want {
				t.Errorf("saved: %v, want %v", ok, tc.want)
			}
			if _, ok := saved.Find(Released); !ok {
				t.Error("the saved release was deleted")
			}
		})
	}
}

func TestDropOutdated_ReportsFailure(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	r := open(t, folder)
	if _, err := r.SavedDefinitions(web, "wim", "").Save(Stopped, webDefinition, 3, 1); err != nil {
		t.Fatal(err)
	}
	entry, _ := r.FindSaved(Stopped, web)
	path := filepath.Join(folder+"-saved", entry.ID+fileSuffix)
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	failed := 0
	r.DeleteOutdated([]backends.Job{{Tier: web.Tier, Namespace: web.Namespace, ID: web.ID, ModifyIndex: 1 << 40}},
		func(s SavedDefinition, err error) {
			if failed++; s.Job != web || err == nil {
				t.Errorf("got %+v, %v", s, err)
			}
		})
	if failed != 1 {
		t.Errorf("reported %d failures, want 1", failed)
	}
}

func TestSaveDefinition_BlocksUntilDeleted(t *testing.T) {
	r := open(t, filepath.Join(t.TempDir(), "jobs"))
	o := startOp(t, r, web)
	if err := o.SaveDefinition(webDefinition, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.DefinitionPath()); err != nil {
		t.Error(err)
	}
	var busy *BusyError
	if err := r.CheckNoPendingRestore(web); !errors.As(err, &busy) || busy.Other != o {
		t.Errorf("got %v, want a BusyError", err)
	}
	if err := o.DeleteDefinition(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(o.DefinitionPath()); err == nil {
		t.Error("still saved")
	}
	if err := r.CheckNoPendingRestore(web); err != nil {
		t.Errorf("after DeleteDefinition: %v", err)
	}
	if o.IsFinished() {
		t.Error("finished")
	}
	o.Finish(nil)
	if !o.IsFinished() {
		t.Error("not finished")
	}
}
