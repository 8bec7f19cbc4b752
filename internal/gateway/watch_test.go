package gateway

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLoad_FileChangesWhileRead replaces a file by renaming while it is read.
func TestLoad_FileChangesWhileRead(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	replace := func(path string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace(a)
	for _, tc := range []struct {
		name         string
		changes      int // loads during which the file changes
		loads        int // want
		first, later []string
		stable       bool
	}{
		{"nothing", 0, 1, []string{a}, []string{a}, true},
		{"once", 1, 2, []string{a}, []string{a}, true},
		{"twice", 2, 3, []string{a}, []string{a}, true},
		{"all the time", 100, 5, []string{a}, []string{a}, false},
		{"another file is named", 0, 2, []string{a}, []string{a, b}, true},
	} {
		loads := 0
		files, stamps := loadConsistent(tc.first, func() []string {
			if loads++; loads <= tc.changes {
				replace(a)
			}
			return tc.later
		})
		if loads != tc.loads || (stamps != nil) != tc.stable || len(files) != len(tc.later) {
			t.Errorf("%s: got %d loads, stamps %v, want %d", tc.name, loads, stamps, tc.loads)
		}
	}
}

// TestWatch changes files in simulated time and counts the reloads.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		write := func(name, text string) string {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		rename := func(from, to string) {
			t.Helper()
			if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
				t.Fatal(err)
			}
		}
		// As in a Kubernetes volume, the file is a link to a directory that is itself a link.
		os.Mkdir(filepath.Join(dir, "v1"), 0o700)
		os.Mkdir(filepath.Join(dir, "v2"), 0o700)
		write("v1/linked", "a")
		write("v2/linked", "b")
		os.Symlink("v1", filepath.Join(dir, "data"))
		os.Symlink("v2", filepath.Join(dir, "data2"))
		os.Symlink("data/linked", filepath.Join(dir, "linked"))
		files := []string{write("config", "1"), filepath.Join(dir, "linked"), filepath.Join(dir, "missing")}

		var loaded fileStamps
		var reloads atomic.Int32
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go watch(ctx, func() ([]string, fileStamps) { return files, loaded }, func() {
			reloads.Add(1)
			loaded = stampFiles(files)
		})
		check := func(what string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := reloads.Load(); got != want {
				t.Errorf("%s: %d reloads, want %d", what, got, want)
			}
		}
		time.Sleep(time.Minute + watchInterval/2) // files change between polls, never at the time of one
		check("start", 1)
		for i := range 10 { // a file that is written slowly
			write("config", string(make([]byte, i+5)))
			time.Sleep(watchInterval)
		}
		check("while a file changes", 1)
		time.Sleep(2 * watchInterval)
		check("after the file has changed", 2)
		write("config.new", "2")
		rename("config.new", "config")
		time.Sleep(2 * watchInterval)
		check("rename", 3)
		rename("data2", "data")
		time.Sleep(2 * watchInterval)
		check("link to another directory", 4)
		write("missing", "x")
		time.Sleep(2 * watchInterval)
		check("missing file written", 5)
		os.Remove(filepath.Join(dir, "missing"))
		time.Sleep(2 * watchInterval)
		check("file removed", 6)
		os.Chmod(files[0], 0o640)
		time.Sleep(2 * watchInterval)
		check("mode changed", 7)
		time.Sleep(time.Hour)
		check("nothing", 7)
	})
}
