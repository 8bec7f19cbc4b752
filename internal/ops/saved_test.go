package ops

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

func TestSave_OnePerKind(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	r := open(t, folder)
	for i, kind := range []Kind{Stopped, Released, Stopped} {
		if _, err := r.Save(kind, web, "wim", "stop web", webDefinition, uint64(i), 7); err != nil {
			t.Fatal(err)
		}
	}
	r = open(t, folder)
	if files, _ := os.ReadDir(folder + "-saved"); len(files) != 2 {
		t.Errorf("got %d files, want one of each kind", len(files))
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("the folder for operations exists")
	}
	if saved := r.Restorable(); len(saved) != 0 {
		t.Errorf("got definitions of operations: %+v", saved)
	}
	s, ok, err := r.LoadSaved(Stopped, web)
	if err != nil || !ok || s.Version != 2 || s.CreateIndex != 7 || s.User != "wim" ||
		string(s.Definition) != string(webDefinition) {
		t.Errorf("got %+v, %v", s, ok)
	}
	other := web
	other.Root = "p-team2-web"
	if s, ok := r.FindSaved(Stopped, other); ok {
		t.Errorf("another owner gets %+v", s)
	}
	other = web
	other.Namespace = "other"
	if s, ok := r.FindSaved(Stopped, other); ok {
		t.Errorf("another namespace gets %+v", s)
	}
	if err := r.DeleteByID(s.ID); err != nil {
		t.Fatal(err)
	}
	r = open(t, folder)
	if s, ok := r.FindSaved(Stopped, web); ok {
		t.Errorf("still there after DeleteByID: %+v", s)
	}
	if s, ok := r.FindSaved(Released, web); !ok || s.Version != 1 {
		t.Errorf("got %+v, %v", s, ok)
	}
}

func TestSave_TiersOfOneCluster(t *testing.T) {
	r := open(t, filepath.Join(t.TempDir(), "jobs"))
	r.Cluster = func(string) string { return "one" }
	twin := web
	twin.Tier = "quality"
	if _, err := r.Save(Stopped, web, "wim", "stop", webDefinition, 1, 7); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Save(Stopped, twin, "wim", "stop", webDefinition, 2, 7); err != nil {
		t.Fatal(err)
	}
	if s, ok := r.FindSaved(Stopped, web); !ok || s.Version != 2 || len(r.ListSaved(Stopped)) != 1 {
		t.Errorf("got %+v, %v", s, ok)
	}
}

func TestSave_ExpiresAfter30Days(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "jobs")
		r := open(t, folder)
		if _, err := r.Save(Stopped, web, "wim", "stop", webDefinition, 1, 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(Retention)
		if _, ok := r.FindSaved(Stopped, web); !ok {
			t.Error("expired too early")
		}
		time.Sleep(time.Second)
		if s, ok := r.FindSaved(Stopped, web); ok {
			t.Errorf("got %+v", s)
		}
		save(t, r, "p-team1-db", "")
		if files, _ := os.ReadDir(folder + "-saved"); len(files) != 1 {
			t.Errorf("got %d files, want the expired one removed", len(files))
		}
	})
}

func TestSave_NoFolderOrAnotherJob(t *testing.T) {
	r := open(t, "")
	if _, err := r.Save(Stopped, web, "wim", "stop", webDefinition, 1, 7); !errors.Is(err, ErrNoFolder) {
		t.Errorf("got %v, want %v", err, ErrNoFolder)
	}
	r = open(t, filepath.Join(t.TempDir(), "jobs"))
	_, err := r.Save(Stopped, web, "wim", "stop", json.RawMessage(`{"ID":"p-team2-shop","Namespace":"default"}`), 1, 7)
	if err == nil || !strings.Contains(err.Error(), `is for job "p-team2-shop"`) {
		t.Errorf("got %v", err)
	}
}

// save saves a stopped job whose definition contains filler.
func save(t *testing.T, r *Registry, id, filler string) backends.JobRef {
	t.Helper()
	job := backends.JobRef{Tier: "production", Namespace: "default", ID: id, Root: id}
	definition := json.RawMessage(fmt.Sprintf(`{"ID":%q,"Namespace":"default","JobModifyIndex":7,"x":%q}`, id, filler))
	if _, err := r.Save(Stopped, job, "wim", "stop "+id, definition, 1, 7); err != nil {
		t.Fatal(err)
	}
	return job
}

func TestOpen_RemovesExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "jobs")
		r := open(t, folder)
		if err := startOp(t, r, web).SaveDefinition(webDefinition, 1); err != nil {
			t.Fatal(err)
		}
		save(t, r, "p-team1-db", "")
		time.Sleep(Retention + time.Second)
		if r = open(t, folder); len(r.Restorable()) != 1 {
			t.Error("the definition of an operation was removed")
		}
		if files, _ := os.ReadDir(folder + "-saved"); len(files) != 0 {
			t.Errorf("got %d files", len(files))
		}
	})
}

func TestSave_NoDefinitionInMemory(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	r := open(t, folder)
	job := save(t, r, "p-team1-db", "abc")
	for _, r := range []*Registry{r, open(t, folder)} {
		s, ok := r.FindSaved(Stopped, job)
		if !ok || s.Definition != nil || r.saved[s.ID].Definition != nil || s.IsOutdated(7) || !s.IsOutdated(8) {
			t.Errorf("got %+v, %v", s, ok)
		}
		if s, ok, err := r.LoadSaved(Stopped, job); err != nil || !ok || !strings.Contains(string(s.Definition), "abc") {
			t.Errorf("got %+v, %v, %v", s, ok, err)
		}
	}
}

func TestSave_RejectsChildJobs(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	child := backends.JobRef{Tier: "production", Namespace: "default", ID: "p-team1-web/dispatch-1", Root: "p-team1-web"}
	_, err := open(t, folder).Save(Stopped, child, "wim", "stop",
		json.RawMessage(`{"ID":"p-team1-web/dispatch-1","ParentID":"p-team1-web","Namespace":"default"}`), 0, 7)
	if err == nil || !strings.Contains(err.Error(), "child jobs are not saved") {
		t.Errorf("got %v", err)
	}
	if files, _ := os.ReadDir(folder + "-saved"); len(files) != 0 {
		t.Errorf("got %d files", len(files))
	}
}

func TestSave_OldestRemovedAtLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "jobs")
		r := open(t, folder)
		r.maxSavedBytes = 3500
		var evicted []string
		r.OnEvict = func(s SavedDefinition) { evicted = append(evicted, s.Job.ID) }
		if err := startOp(t, r, web).SaveDefinition(webDefinition, 1); err != nil {
			t.Fatal(err)
		}
		filler := strings.Repeat("x", 1000)
		var jobs []backends.JobRef
		for _, id := range []string{"a", "b", "a", "c", "d"} { // the second a replaces the first
			time.Sleep(time.Second)
			jobs = append(jobs, save(t, r, id, filler))
		}
		if !slices.Equal(evicted, []string{"b", "a"}) {
			t.Errorf("removed %q", evicted)
		}
		total := 0
		files, _ := os.ReadDir(folder + "-saved")
		for _, file := range files {
			info, _ := file.Info()
			total += int(info.Size())
		}
		if total > r.maxSavedBytes {
			t.Errorf("%d bytes are saved, more than %d", total, r.maxSavedBytes)
		}
		if _, ok := r.FindSaved(Stopped, jobs[1]); ok {
			t.Error("the oldest definition is still saved")
		}
		if _, ok := r.FindSaved(Stopped, jobs[4]); !ok || len(r.Restorable()) != 1 {
			t.Error("the newest definition, or that of the operation, was removed")
		}
		save(t, r, "huge", strings.Repeat("x", 5000)) // larger than the limit
		if all := r.ListSaved(Stopped); len(all) != 1 || all[0].Job.ID != "huge" {
			t.Errorf("got %+v", all)
		}
	})
}

// TestLoadSaved_WrongRecord replaces a file with a signed record of another kind.
func TestLoadSaved_WrongRecord(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	r := open(t, folder)
	job := save(t, r, "p-team1-db", "abc")
	k, _, err := r.LoadSaved(Stopped, job)
	if err != nil {
		t.Fatal(err)
	}
	k.Kind = Released
	content := sign(must(json.Marshal(k)), r.keys[0])
	if err := os.WriteFile(filepath.Join(folder+"-saved", k.ID+".json"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if k, ok, err := r.LoadSaved(Stopped, job); ok || !errors.Is(err, errWrongRecord) {
		t.Errorf("got %+v, %v, %v", k, ok, err)
	}
}

func TestLoadSaved_FileChangedOrRemoved(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	r := open(t, folder)
	job := save(t, r, "p-team1-db", "abc")
	s, _ := r.FindSaved(Stopped, job)
	file := filepath.Join(folder+"-saved", s.ID+".json")
	content := must(os.ReadFile(file))
	if err := os.WriteFile(file, bytes.Replace(content, []byte("abc"), []byte("xyz"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, ok, err := r.LoadSaved(Stopped, job); ok || !errors.Is(err, errForged) {
		t.Errorf("got %+v, %v, %v", s, ok, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if s, ok, err := r.LoadSaved(Stopped, job); ok || err != nil {
		t.Errorf("got %+v, %v, %v", s, ok, err)
	}
	if _, ok := r.FindSaved(Stopped, job); ok {
		t.Error("the removed definition is still found")
	}
}
