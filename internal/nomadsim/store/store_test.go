package store

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// TestAfterStep_Waits starts a later transaction, which waits for an exit first.
func TestAfterStep_Waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		exited := make(chan struct{})
		start := time.Now()
		var ran time.Duration
		s.Update(func(st *State) {
			st.SetStepInterval(time.Second)
			st.AfterStep(func(*State) { ran = time.Since(start) }, exited)
		})
		time.Sleep(time.Minute)
		close(exited)
		time.Sleep(time.Minute)
		s.Close()
		if ran != time.Minute+time.Second {
			t.Errorf("ran after %v, want one second after the exit", ran)
		}
	})
}

// TestRunNextStep_InOrder runs steps as on a busy machine, where all are due before the first one runs.
func TestRunNextStep_InOrder(t *testing.T) {
	s := New()
	defer s.Close()
	start := time.Now()
	var ran []int
	s.Update(func(st *State) {
		for i := range 100 {
			at := start.Add(time.Duration(i/10*7%10) * time.Second)
			st.schedule(at, func(*State) { ran = append(ran, int(at.Sub(start).Seconds())*100+i) })
		}
		for range 100 {
			st.runNextStep()
		}
	})
	if !slices.IsSorted(ran) || len(ran) != 100 {
		t.Errorf("got %v, want them sorted by time, and in call order for equal times", ran)
	}
}

func TestClose_CancelsSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		ran := false
		s.Update(func(st *State) { st.AfterDelay(time.Hour, func(*State) { ran = true }) })
		start := time.Now()
		s.Close()
		s.Update(func(st *State) { st.AfterStep(func(*State) { ran = true }) })
		synctest.Wait()
		if ran || time.Since(start) != 0 || s.Acquire() {
			t.Errorf("got ran %v after %v, want nothing to run after Close", ran, time.Since(start))
		}
	})
}

func TestNextIndex_WakesReaders(t *testing.T) {
	s := New()
	defer s.Close()
	s.Update(func(st *State) {
		changes, before := st.Changes(), st.LastChange(TableJobs)
		index := st.NextIndex(TableNodes)
		select {
		case <-changes:
		default:
			t.Error("the channel is open after a change")
		}
		if st.LastChange(TableNodes) != index || st.LastChange(TableJobs) != before {
			t.Errorf("got %d for nodes and %d for jobs, want %d and %d", st.LastChange(TableNodes),
				st.LastChange(TableJobs), index, before)
		}
	})
}

// TestAddJob_RecordsAreReplaced reads a record while the job is described again.
func TestAddJob_RecordsAreReplaced(t *testing.T) {
	s := New()
	defer s.Close()
	describe := func(count int) (j *Job) {
		s.Update(func(st *State) {
			st.AddJob(jobspec.Job{ID: "web", Groups: []jobspec.Group{{Count: count}}})
			j = st.Job("default", "web")
		})
		return j
	}
	first := describe(1)
	second := describe(3)
	if len(first.Allocations) != 1 || len(second.Allocations) != 3 || first.CreateIndex != second.CreateIndex {
		t.Errorf("got %d and %d allocations, created at %d and %d, want 1 and 3 of the same job", len(first.Allocations),
			len(second.Allocations), first.CreateIndex, second.CreateIndex)
	}
	s.View(func(st *State) {
		if len(st.Allocations) != 3 {
			t.Errorf("got %d allocations in the state, want 3", len(st.Allocations))
		}
	})
}

func TestPage_TokensAndFilter(t *testing.T) {
	s := New()
	defer s.Close()
	for _, id := range []string{"a", "b", "c", "d"} {
		s.Update(func(st *State) { st.AddJob(jobspec.Job{ID: id, Meta: map[string]string{"odd": id}}) })
	}
	all := func(string) bool { return true }
	id := func(j *Job) string { return j.ID }
	s.View(func(st *State) {
		first, next, err := Page(PageRequest{Namespace: "*", PerPage: 3}, st.Jobs, PagesByName, all, id)
		if err != nil || !slices.Equal(first, []string{"a", "b", "c"}) || next != "default.d" {
			t.Errorf("first page: got %q, %q, %v", first, next, err)
		}
		last, next, err := Page(PageRequest{Namespace: "*", PerPage: 3, NextToken: next}, st.Jobs, PagesByName, all, id)
		if err != nil || !slices.Equal(last, []string{"d"}) || next != "" {
			t.Errorf("last page: got %q, %q, %v", last, next, err)
		}
		filter := PageRequest{Namespace: "default", Reverse: true, Filter: `ID != "b" and Type == "service"`}
		filtered, _, err := Page(filter, st.Jobs, PagesByName, all, id)
		if err != nil || !slices.Equal(filtered, []string{"d", "c", "a"}) {
			t.Errorf("filtered: got %q, %v", filtered, err)
		}
		if _, _, err := Page(PageRequest{Filter: "ID =="}, st.Jobs, PagesByName, all, id); err == nil {
			t.Error("bad filter: got no error")
		}
	})
}

func TestCollect_KeepsRunningJobs(t *testing.T) {
	s := New()
	defer s.Close()
	s.Update(func(st *State) {
		st.AddJob(jobspec.Job{ID: "running"})
		st.AddJob(jobspec.Job{ID: "stopped", Stopped: true})
		deleted := st.Collect(nil)
		if len(deleted) != 1 || deleted[0].JobID != "stopped" || st.Job("default", "stopped") != nil ||
			st.Job("default", "running") == nil {
			t.Errorf("deleted %d allocations, jobs left: %d, want only the stopped job deleted", len(deleted), len(st.Jobs))
		}
	})
}
