package nomadsim

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestBlockingQuery_WakesOnChange(t *testing.T) {
	c := mixedCluster()
	n := dial(t, c, "")
	jobs, meta, err := n.Jobs().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		jobs []*api.JobListStub
		meta *api.QueryMeta
		err  error
	}
	answers := make(chan answer)
	go func() {
		jobs, meta, err := n.Jobs().List(&api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute})
		answers <- answer{jobs, meta, err}
	}()
	c.AddNode(Node{Name: "node-2"}) // another table, which does not wake the query
	select {
	case a := <-answers:
		t.Fatalf("got a response with index %d before any job changed, want none", a.meta.LastIndex)
	case <-time.After(50 * time.Millisecond):
	}
	c.AddJob(Job{ID: "p-new"})
	a := <-answers
	if a.err != nil || len(a.jobs) != len(jobs)+1 || a.meta.LastIndex <= meta.LastIndex {
		t.Errorf("got %d jobs, index %d, %v, want %d and more than %d", len(a.jobs), a.meta.LastIndex, a.err, len(jobs)+1,
			meta.LastIndex)
	}
}

func TestBlockingQuery_TimesOut(t *testing.T) {
	t.Parallel()
	n := dial(t, mixedCluster(), "")
	for name, list := range map[string]func(q *api.QueryOptions) (*api.QueryMeta, error){
		"allocations": func(q *api.QueryOptions) (*api.QueryMeta, error) {
			_, meta, err := n.Allocations().List(q)
			return meta, err
		},
		"one job": func(q *api.QueryOptions) (*api.QueryMeta, error) {
			_, meta, err := n.Jobs().Info("q-fail", q)
			return meta, err
		},
	} {
		meta, err := list(&api.QueryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		again, err := list(&api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 60 * time.Millisecond})
		if err != nil || again.LastIndex != meta.LastIndex {
			t.Errorf("%s: got index %d, %v, want %d", name, again.LastIndex, err, meta.LastIndex)
		}
		if took := time.Since(start); took < 60*time.Millisecond {
			t.Errorf("%s: got a response after %v, want 60ms or more", name, took)
		}
		if _, err := list(&api.QueryOptions{WaitIndex: meta.LastIndex - 1, WaitTime: time.Minute}); err != nil {
			t.Errorf("%s: an index already passed: %v", name, err)
		}
	}
}

func TestBlockingQuery_WaitsForMissingJob(t *testing.T) {
	c := mixedCluster()
	n := dial(t, c, "")
	_, meta, err := n.Jobs().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(30*time.Millisecond, func() { c.AddJob(Job{ID: "p-late"}) })
	j, _, err := n.Jobs().Info("p-late", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute})
	if err != nil || *j.ID != "p-late" {
		t.Errorf("job: got %v, %v, want p-late", j, err)
	}
}

func TestClose_EndsBlockingQueries(t *testing.T) {
	c := mixedCluster()
	n := dial(t, c, "")
	time.AfterFunc(30*time.Millisecond, c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := n.Jobs().List((&api.QueryOptions{WaitIndex: 1000}).WithContext(ctx)); err == nil || ctx.Err() != nil {
		t.Errorf("got error %v, context %v, want the connection cut", err, ctx.Err())
	}
}
