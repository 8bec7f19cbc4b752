package ops

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

var web = backends.JobRef{Tier: "production", Namespace: "default", ID: "p-team1-web", Root: "p-team1-web"}

func open(t *testing.T, folder string) *Registry {
	t.Helper()
	r, problems := Open(folder, testKey)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return r
}

func startOp(t *testing.T, r *Registry, job backends.JobRef) *Op {
	t.Helper()
	o, err := r.Start(job, "wim", "restart "+job.ID)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestStart_JobBusy(t *testing.T) {
	r := open(t, "")
	first := startOp(t, r, web)
	_, err := r.Start(web, "ann", "restart p-team1-web --batch 2")
	var busy *BusyError
	if !errors.As(err, &busy) || busy.Other != first ||
		!strings.Contains(err.Error(), "operation "+first.ID+" of wim has been running since ") {
		t.Errorf("got %v, want a BusyError that names the first operation", err)
	}
	other := web
	other.Namespace = "other"
	startOp(t, r, other)
	first.Finish(nil)
	startOp(t, r, web)
	if got := len(r.Ops()); got != 3 {
		t.Errorf("got %d operations, want 3", got)
	}
}

func TestFollow_NotesAndResult(t *testing.T) {
	o := startOp(t, open(t, ""), web)
	o.Progress("0 of 2")
	o.Note("one")
	o.Progress("1 of 2")
	var late []string
	gone, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("left"))
	if err := o.Follow(gone, func(n Note) error { late = append(late, n.Text); return nil }); err == nil ||
		err.Error() != "left" {
		t.Errorf("got %v, want the cause", err)
	}
	if want := []string{"one", "1 of 2"}; !slices.Equal(late, want) {
		t.Errorf("got %q, want %q", late, want)
	}
	failure := errors.New("no")
	var seen []string
	err := o.Follow(context.Background(), func(n Note) error {
		if seen = append(seen, n.Text); n.Text == "1 of 2" {
			o.Note("two")
			o.Progress("2 of 2")
			o.Progress("2 of 2")
			o.Finish(failure)
			o.Finish(nil)
		}
		return nil
	})
	if want := []string{"one", "1 of 2", "two", "2 of 2"}; !slices.Equal(seen, want) || err != failure {
		t.Errorf("got %q and %v, want %q and the result", seen, err, want)
	}
}

func TestHalt_FirstReasonWins(t *testing.T) {
	r := open(t, "")
	o := startOp(t, r, web)
	if o.HaltReason() != nil {
		t.Error("halted before Halt was called")
	}
	o.Halt("cancelled by ann")
	r.Close("the gateway is being stopped")
	if _, err := r.Start(backends.JobRef{ID: "another"}, "wim", "restart another"); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	<-o.HaltRequested()
	if err := o.HaltReason(); !errors.Is(err, ErrHalted) || err.Error() != "cancelled by ann" {
		t.Errorf("got %v", err)
	}
	o.Finish(o.HaltReason())
	r.Wait(context.Background())
}

func TestWait_AbandonsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, "")
		o := startOp(t, r, web)
		var recorded []error
		o.OnFinish(func(err error) { recorded = append(recorded, err) })
		over, cancel := context.WithCancel(context.Background())
		cancel()
		r.Wait(over)
		r.Wait(over)
		o.Finish(nil)
		if _, err := o.Finished(); err != ErrAbandoned || len(recorded) != 1 || recorded[0] != ErrAbandoned {
			t.Errorf("got %v, recorded %v, want %v once", err, recorded, ErrAbandoned)
		}
	})
}

// TestWait_InterruptedReports expects Wait to record the result of an operation that finishes when it is interrupted.
func TestWait_InterruptedReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, "")
		o, other := startOp(t, r, web), startOp(t, r, backends.JobRef{ID: "another"})
		result := errors.New("stopped after 1 of 2")
		for _, o := range []*Op{o, other} {
			go func() {
				<-o.Exiting()
				time.Sleep(exitGrace - time.Second) // both at the same time
				o.Finish(result)
			}()
		}
		r.Close("the gateway is being stopped")
		grace, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		r.Wait(grace)
		for _, o := range []*Op{o, other} {
			if at, err := o.Finished(); err != result || at.Sub(start) < 5*time.Second {
				t.Errorf("got %v after %s, want %v after the grace period", err, at.Sub(start), result)
			}
		}
	})
}

func TestOnFinish_AfterFinish(t *testing.T) {
	o := startOp(t, open(t, ""), web)
	o.Finish(ErrAbandoned)
	var recorded []error
	o.OnFinish(func(err error) { recorded = append(recorded, err) })
	o.Finish(nil)
	if len(recorded) != 1 || recorded[0] != ErrAbandoned {
		t.Errorf("got %v, want %v once", recorded, ErrAbandoned)
	}
}

func TestRegistry_MaxFinished(t *testing.T) {
	r := open(t, "")
	running := startOp(t, r, backends.JobRef{ID: "running"})
	for range 2 * maxOps {
		startOp(t, r, web).Finish(nil)
	}
	all := r.Ops()
	if len(all) > maxOps+2 || all[0] != running {
		t.Errorf("got %d, the first is %s; want about %d, including the running one", len(all), all[0].Job.ID, maxOps)
	}
}

func TestSaveDefinition_SurvivesRestart(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "jobs")
	r := open(t, folder)
	o := startOp(t, r, web)
	definition := json.RawMessage(`{"ID":"p-team1-web","Namespace":"default","Extra":{"new":[1,2.50,"<&>"]}}`)
	if err := o.SaveDefinition(definition, 3); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(o.DefinitionPath())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file with mode 0600", info, err)
	}
	again := open(t, folder)
	saved := again.Restorable()
	if len(saved) != 1 || saved[0].ID != o.ID || saved[0].Job != web || saved[0].User != "wim" || saved[0].Version != 3 {
		t.Fatalf("got %+v", saved)
	}
	var got, want any
	json.Unmarshal(saved[0].Definition, &got)
	json.Unmarshal(definition, &want)
	if g, _ := json.Marshal(got); string(g) == "null" || !slices.Equal(g, must(json.Marshal(want))) {
		t.Errorf("got %s, want %s", g, definition)
	}
	if err := again.DeleteByID(o.ID); err != nil {
		t.Fatal(err)
	}
	if left := open(t, folder).Restorable(); len(left) != 0 {
		t.Errorf("still there after DeleteByID: %+v", left)
	}
	if files, _ := os.ReadDir(folder); len(files) != 0 {
		t.Errorf("got files %v, want none", files)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestOpen_TruncatedFile(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "abcd.json")
	if err := os.WriteFile(file, []byte(`{"id":"abcd","job":{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, problems := Open(folder, testKey)
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), file) || len(r.Restorable()) != 0 {
		t.Errorf("got %v and %+v", problems, r.Restorable())
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestSaveDefinition_NoFolder(t *testing.T) {
	r := open(t, "")
	if err := startOp(t, r, web).SaveDefinition(json.RawMessage(`{}`), 0); !errors.Is(err, ErrNoFolder) {
		t.Errorf("got %v, want %v", err, ErrNoFolder)
	}
}

func TestSaveDefinition_NotAFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, problems := Open(folder, testKey)
	if len(problems) != 1 {
		t.Errorf("got %v, want one problem", problems)
	}
	if err := startOp(t, r, web).SaveDefinition(webDefinition, 0); err == nil || len(r.Restorable()) != 0 {
		t.Errorf("got %v and %+v, want an error and no definition", err, r.Restorable())
	}
}
