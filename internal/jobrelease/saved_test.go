package jobrelease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// versionedCluster is a cluster with one job, newest version first.
type versionedCluster struct {
	backends.Cluster
	versions []backends.Version
}

func (v versionedCluster) Versions(context.Context, backends.Job) ([]backends.Version, error) {
	return v.versions, nil
}

func (v versionedCluster) Definition(context.Context, backends.Job, *uint64) (json.RawMessage, error) {
	return v.versions[0].Definition, nil
}

func (v versionedCluster) detail() (job backends.JobDetail) {
	job.ID, job.Root, job.Namespace, job.Tier = "web", "web", "default", "production"
	job.Version, job.Stopped, job.ModifyIndex = v.versions[0].Number, v.versions[0].Stopped, v.versions[0].Number+100
	return job
}

// savedVersion returns a version whose definition the gateway can save.
func savedVersion(t *testing.T, created, number uint64, mode string, stable bool) backends.Version {
	t.Helper()
	definition := json.RawMessage(fmt.Sprintf(`{"ID":"web","Namespace":"default","CreateIndex":%d,"Version":%d,`+
		`"JobModifyIndex":%d,"Stable":%v,"TaskGroups":[{"Name":"web","Count":1,"Tasks":[{"Env":{"MODE":%q}}]}]}`,
		created, number, number+100, stable, mode))
	release, err := backends.ReleaseOf(definition)
	if err != nil {
		t.Fatal(err)
	}
	return backends.Version{Number: number, Stable: stable, CreateIndex: created, Release: release, Definition: definition}
}

// newSaved returns the saved definitions of the job web, and their folder.
func newSaved(t *testing.T) (saved ops.SavedDefinitions, folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "jobs")
	registry, problems := ops.Open(folder, ops.Key{1})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return registry.SavedDefinitions(backends.JobRef{Tier: "production", Namespace: "default", ID: "web", Root: "web"},
		"wim", "scale web 2"), folder + "-saved"
}

func mustSaveRelease(t *testing.T, saved ops.SavedDefinitions, versions ...backends.Version) {
	t.Helper()
	cluster := versionedCluster{versions: versions}
	if warning, err := Save(t.Context(), cluster, saved, cluster.detail(), 1); err != nil || warning != "" {
		t.Fatalf("got %q, %v", warning, err)
	}
}

func TestSaveRelease_KeepsBetter(t *testing.T) {
	v := func(number uint64, mode string, stable bool) backends.Version {
		return savedVersion(t, 1, number, mode, stable)
	}
	tagged := v(0, "t", true)
	tagged.Tag = "release"
	for name, tc := range map[string]struct {
		first, then []backends.Version
		want        uint64
	}{
		"newer release failed": {
			[]backends.Version{v(1, "b", true), v(0, "a", true)},
			[]backends.Version{v(9, "b", true), v(8, "c", false)},
			0,
		},
		"newer release stable": {
			[]backends.Version{v(1, "b", true), v(0, "a", true)},
			[]backends.Version{v(9, "b", true), v(8, "c", true)},
			8,
		},
		"older release tagged": {
			[]backends.Version{v(4, "b", true), v(3, "a", true), tagged},
			[]backends.Version{v(10, "b", true), tagged},
			3,
		},
		"same release now stable": {
			[]backends.Version{v(1, "b", false), v(0, "a", false)},
			[]backends.Version{v(2, "b", true), v(1, "b", true), v(0, "a", true)},
			0,
		},
		"saved release is current": {
			[]backends.Version{v(1, "b", true), v(0, "a", true)},
			[]backends.Version{v(9, "a", true), v(8, "b", false)},
			8,
		},
		"job registered again": {
			[]backends.Version{savedVersion(t, 1, 9, "b", true), savedVersion(t, 1, 8, "a", true)},
			[]backends.Version{savedVersion(t, 50, 1, "c", true), savedVersion(t, 50, 0, "b", true)},
			0,
		},
		"unstable: newest stays": {
			[]backends.Version{v(4, "b", false), v(3, "a", false), v(0, "t", false)},
			[]backends.Version{v(10, "b", false), v(0, "t", false)},
			3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			saved, _ := newSaved(t)
			mustSaveRelease(t, saved, tc.first...)
			mustSaveRelease(t, saved, tc.then...)
			s, ok, err := saved.Load(ops.Released)
			if err != nil || !ok || s.Version != tc.want || s.CreateIndex != tc.then[0].CreateIndex {
				t.Errorf("got version %d, CreateIndex %d, %v, %v, want %d", s.Version, s.CreateIndex, ok, err, tc.want)
			}
			if is, _ := Identify(s.Definition); name == "same release now stable" && !is.Stable {
				t.Error("the saved release is not marked stable")
			}
		})
	}
}

// TestSaveRelease_JobRegisteredAgain checks a job that Nomad deleted: its version numbers start again at 0.
func TestSaveRelease_JobRegisteredAgain(t *testing.T) {
	saved, _ := newSaved(t)
	old := savedVersion(t, 1, 8, "a", true)
	if _, err := saved.Save(ops.Released, old.Definition, old.Number, 50); err != nil { // see Relink
		t.Fatal(err)
	}
	mustSaveRelease(t, saved, savedVersion(t, 50, 1, "c", true), savedVersion(t, 50, 0, "b", true))
	if s, ok := saved.Find(ops.Released); !ok || s.Version != 0 || s.CreateIndex != 50 {
		t.Errorf("got version %d, CreateIndex %d, %v", s.Version, s.CreateIndex, ok)
	}
}

func TestSaveRelease_SavedAgainDaily(t *testing.T) {
	a, b, next := savedVersion(t, 1, 0, "a", true), savedVersion(t, 1, 1, "b", true), savedVersion(t, 1, 2, "b", true)
	for name, now := range map[string][]backends.Version{
		"Nomad has it":         {b, a},
		"Nomad has deleted it": {next, b},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				saved, _ := newSaved(t)
				mustSaveRelease(t, saved, b, a)
				first, _ := saved.Find(ops.Released)
				time.Sleep(time.Hour)
				mustSaveRelease(t, saved, now...)
				if s, _ := saved.Find(ops.Released); s.ID != first.ID {
					t.Error("saved again after one hour")
				}
				for range 40 {
					time.Sleep(24 * time.Hour)
					mustSaveRelease(t, saved, now...)
				}
				if s, ok, err := saved.Load(ops.Released); err != nil || !ok || s.Version != 0 ||
					time.Since(s.Time) > 24*time.Hour {
					t.Errorf("got %+v, %v, %v", s, ok, err)
				}
			})
		})
	}
}

func TestAddSaved_NewestFirst(t *testing.T) {
	v := func(number uint64, mode string, stable bool) backends.Version {
		return savedVersion(t, 50, number, mode, stable)
	}
	now := v(9, "d", true)
	for name, tc := range map[string]struct {
		versions []backends.Version
		saved    backends.Version
		want     uint64
		added    bool
	}{
		"newer than a tagged one": {[]backends.Version{now, v(0, "a", true)}, v(3, "c", true), 3, true},
		"of a deleted job":        {[]backends.Version{now, v(0, "a", true)}, savedVersion(t, 1, 30, "c", true), 0, true},
		"Nomad has it":            {[]backends.Version{now, v(8, "c", false), v(3, "a", false)}, v(3, "a", true), 8, false},
		"deployed again":          {[]backends.Version{now, v(8, "c", true), v(7, "a", true)}, v(3, "a", true), 8, false},
		"deployed again, failed":  {[]backends.Version{now, v(8, "a", false)}, v(3, "a", true), 3, true},
		"current":                 {[]backends.Version{now, v(8, "c", true)}, v(3, "d", true), 8, false},
	} {
		all, added := addSaved(earlierReleases(now, tc.versions), tc.saved, now, tc.versions)
		got, ok := lastRelease(all)
		if !ok || got.Number != tc.want || added != tc.added {
			t.Errorf("%s: got %d, %v, added %v; want %d, added %v", name, got.Number, ok, added, tc.want, tc.added)
		}
	}
}

func TestSaveStopped_FailureRemovesOlder(t *testing.T) {
	saved, folder := newSaved(t)
	cluster := versionedCluster{versions: []backends.Version{savedVersion(t, 1, 0, "a", true)}}
	if _, warning, err := SaveStopped(t.Context(), cluster, saved, cluster.detail()); err != nil || warning != "" {
		t.Fatalf("got %q, %v", warning, err)
	}
	if err := os.Chmod(folder, 0o777); err != nil { // the gateway refuses a world-writable folder
		t.Fatal(err)
	}
	cluster.versions = []backends.Version{savedVersion(t, 1, 1, "b", true)}
	_, warning, err := SaveStopped(t.Context(), cluster, saved, cluster.detail())
	if err != nil || !strings.Contains(warning, `"start web" works only until Nomad deletes the stopped job`) {
		t.Errorf("got %q, %v", warning, err)
	}
	if s, ok := saved.Find(ops.Stopped); ok {
		t.Errorf("start would register version %d", s.Version)
	}
}

// TestSaveStopped_TwoAtOnce checks that a user who declines the prompt does not remove the definition saved by
// another stop.
func TestSaveStopped_TwoAtOnce(t *testing.T) {
	saved, _ := newSaved(t)
	cluster := versionedCluster{versions: []backends.Version{savedVersion(t, 1, 0, "a", true)}}
	declined, _, err := SaveStopped(t.Context(), cluster, saved, cluster.detail())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := SaveStopped(t.Context(), cluster, saved, cluster.detail()); err != nil {
		t.Fatal(err)
	}
	if err := saved.DeleteByID(declined); err != nil {
		t.Fatal(err)
	}
	if _, ok := saved.Find(ops.Stopped); !ok {
		t.Error("declining removed the definition saved by the other stop")
	}
}

func TestRelinkRelease_OnlyOfThisJob(t *testing.T) {
	release, was := savedVersion(t, 1, 3, "a", true), savedVersion(t, 1, 4, "b", true)
	for name, tc := range map[string]struct {
		of, now, want uint64
	}{
		"Nomad had deleted it": {1, 50, 50},
		"still in Nomad":       {1, 1, 1},
		"saved of another job": {2, 50, 2},
	} {
		saved, _ := newSaved(t)
		if _, err := saved.Save(ops.Released, release.Definition, release.Number, tc.of); err != nil {
			t.Fatal(err)
		}
		cluster := versionedCluster{versions: []backends.Version{savedVersion(t, tc.now, 0, "b", false)}}
		if err := Relink(t.Context(), cluster, saved, cluster.detail().Job, was.Definition); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s, ok := saved.Find(ops.Released); !ok || s.CreateIndex != tc.want || s.Version != 3 {
			t.Errorf("%s: got version %d, CreateIndex %d, want CreateIndex %d", name, s.Version, s.CreateIndex, tc.want)
		}
	}
}

// TestSaveRelease_NoWarningIfSavedBefore checks that a failure to save a release again does not cause a warning.
func TestSaveRelease_NoWarningIfSavedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		saved, folder := newSaved(t)
		b := savedVersion(t, 1, 1, "b", true)
		mustSaveRelease(t, saved, b, savedVersion(t, 1, 0, "a", true))
		time.Sleep(2 * resaveInterval)
		if err := os.Chmod(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		now := []backends.Version{b}
		for n := range uint64(6) {
			now = append([]backends.Version{savedVersion(t, 1, n+2, "b", true)}, now...)
		}
		mustSaveRelease(t, saved, now...)
		if s, ok := saved.Find(ops.Released); !ok || s.Version != 0 {
			t.Errorf("got version %d, %v", s.Version, ok)
		}
	})
}

func TestDeleteSaved_AllKinds(t *testing.T) {
	saved, folder := newSaved(t)
	v := savedVersion(t, 1, 0, "a", true)
	for _, kind := range []ops.Kind{ops.Stopped, ops.Released} {
		if _, err := saved.Save(kind, v.Definition, v.Number, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := DeleteSaved(saved, "web"); err != nil {
		t.Error(err)
	}
	for _, kind := range []ops.Kind{ops.Stopped, ops.Released} {
		if _, ok := saved.Find(kind); ok {
			t.Errorf("%s: still saved", kind)
		}
	}
	if err := DeleteSaved(saved, "web"); err != nil { // nothing is left
		t.Error(err)
	}
	if _, err := saved.Save(ops.Stopped, v.Definition, v.Number, 1); err != nil {
		t.Fatal(err)
	}
	entry, _ := saved.Find(ops.Stopped)
	path := filepath.Join(folder, entry.ID+".json")
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := DeleteSaved(saved, "web"); err == nil ||
		!strings.HasPrefix(err.Error(), "web is purged, but the gateway cannot remove its saved definition: ") {
		t.Errorf("got %v", err)
	}
}

func TestStartableText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // starts at midnight UTC 2000-01-01
		var job backends.JobDetail
		job.ID = "web"
		const want = "until 2000-01-31 00:00Z, start web brings it back, even after Nomad has deleted it"
		if got := StartableText(job); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
