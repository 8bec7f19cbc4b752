package ops

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSave_OneOfAKindOutlivesTheGateway(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	r := open(t, folder)
	for i, kind := range []Kind{Stopped, Released, Stopped} {
		if err := r.Save(kind, web, "wim", "stop web", webDefinition, uint64(i), 7); err != nil {
			t.Fatal(err)
		}
	}
	r = open(t, folder)
	if files, _ := os.ReadDir(folder + "-saved"); len(files) != 2 {
		t.Errorf("got %d files, want one of each kind", len(files))
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("something is in the folder of operations")
	}
	if kept := r.Kept(); len(kept) != 0 {
		t.Errorf("an operation keeps %+v", kept)
	}
	k, ok := r.SavedOf(Stopped, web)
	if !ok || k.Version != 2 || k.Of != 7 || k.User != "wim" || string(k.Definition) != string(webDefinition) {
		t.Errorf("got %+v, %v", k, ok)
	}
	other := web
	other.Root = "p-team2-web"
	if k, ok := r.SavedOf(Stopped, other); ok {
		t.Errorf("another owner gets %+v", k)
	}
	other = web
	other.Namespace = "other"
	if k, ok := r.SavedOf(Stopped, other); ok {
		t.Errorf("another namespace gets %+v", k)
	}
	if err := r.Drop(k.ID); err != nil {
		t.Fatal(err)
	}
	r = open(t, folder)
	if k, ok := r.SavedOf(Stopped, web); ok {
		t.Errorf("dropped, and still there: %+v", k)
	}
	if k, ok := r.SavedOf(Released, web); !ok || k.Version != 1 {
		t.Errorf("got %+v, %v", k, ok)
	}
}

func TestSave_TiersOfOneCluster(t *testing.T) {
	r := open(t, filepath.Join(t.TempDir(), "jobs"))
	r.Cluster = func(string) string { return "one" }
	twin := web
	twin.Tier = "quality"
	if err := r.Save(Stopped, web, "wim", "stop", webDefinition, 1, 7); err != nil {
		t.Fatal(err)
	}
	if err := r.Save(Stopped, twin, "wim", "stop", webDefinition, 2, 7); err != nil {
		t.Fatal(err)
	}
	if k, ok := r.SavedOf(Stopped, web); !ok || k.Version != 2 || len(r.Saved(Stopped)) != 1 {
		t.Errorf("got %+v, %v", k, ok)
	}
}

func TestSave_ForgottenAfterAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "jobs")
		r := open(t, folder)
		if err := r.Save(Stopped, web, "wim", "stop", webDefinition, 1, 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(SavedFor)
		if _, ok := r.SavedOf(Stopped, web); !ok {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Second)
		if k, ok := r.SavedOf(Stopped, web); ok {
			t.Errorf("got %+v", k)
		}
		other := Job{"production", "default", "p-team1-db", "p-team1-db"}
		if err := r.Save(Stopped, other, "wim", "stop", json.RawMessage(`{"ID":"p-team1-db","Namespace":"default"}`), 1, 7); err != nil {
			t.Fatal(err)
		}
		if files, _ := os.ReadDir(folder + "-saved"); len(files) != 1 {
			t.Errorf("got %d files, want the expired one removed", len(files))
		}
	})
}

func TestSave_Refused(t *testing.T) {
	r := open(t, "")
	if err := r.Save(Stopped, web, "wim", "stop", webDefinition, 1, 7); !errors.Is(err, ErrNoFolder) {
		t.Errorf("got %v, want %v", err, ErrNoFolder)
	}
	r = open(t, filepath.Join(t.TempDir(), "jobs"))
	err := r.Save(Stopped, web, "wim", "stop", json.RawMessage(`{"ID":"p-team2-shop","Namespace":"default"}`), 1, 7)
	if err == nil || !strings.Contains(err.Error(), `is for job "p-team2-shop"`) {
		t.Errorf("got %v", err)
	}
}
