package clusterview

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// countingCluster is a slow cluster that counts its reads.
type countingCluster struct {
	backends.Cluster
	jobs, usage atomic.Int32
	delay       time.Duration
	err         error
}

func (c *countingCluster) Jobs(context.Context, backends.Selection) ([]backends.Job, error) {
	c.jobs.Add(1)
	time.Sleep(c.delay)
	return []backends.Job{{ID: "a"}}, c.err
}

func (c *countingCluster) Usage(context.Context, []backends.Allocation) map[string]backends.Usage {
	c.usage.Add(1)
	time.Sleep(c.delay)
	return map[string]backends.Usage{"x": {}}
}

func TestShared_OneReadForAll(t *testing.T) {
	c := &countingCluster{delay: 10 * time.Millisecond}
	shared := New(c)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			view := shared.WithMaxAge(time.Minute)
			for range 3 {
				if jobs, err := view.Jobs(context.Background(), backends.Selection{}); err != nil || len(jobs) != 1 {
					t.Errorf("got %v, %v", jobs, err)
				}
				if usage := view.Usage(context.Background(), []backends.Allocation{{ID: "a"}}); len(usage) != 1 {
					t.Errorf("got %v", usage)
				}
			}
		})
	}
	wg.Wait()
	if c.jobs.Load() != 1 || c.usage.Load() != 1 {
		t.Errorf("read jobs %d times and usage %d times, want 1", c.jobs.Load(), c.usage.Load())
	}
}

func TestShared_KeysDiffer(t *testing.T) {
	c := &countingCluster{}
	view := New(c).WithMaxAge(time.Minute)
	for _, s := range []backends.Selection{
		{},
		{Tier: "a"},
		{Prefixes: []string{"a"}},
		{Prefixes: []string{"b"}},
		{Namespace: "a"},
		{IncludeHidden: true},
	} {
		view.Jobs(context.Background(), s)
	}
	if c.jobs.Load() != 6 {
		t.Errorf("read %d times, want 6: two selections shared a response", c.jobs.Load())
	}
}

func TestShared_MaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &countingCluster{err: errors.New("down")}
		view := New(c).WithMaxAge(50 * time.Millisecond)
		for range 2 {
			if _, err := view.Jobs(context.Background(), backends.Selection{}); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v: errors are shared too", err, c.err)
			}
		}
		time.Sleep(60 * time.Millisecond)
		view.Jobs(context.Background(), backends.Selection{})
		if c.jobs.Load() != 2 {
			t.Errorf("read %d times, want 2", c.jobs.Load())
		}
	})
}

func TestShared_CallerCancels(t *testing.T) {
	c := &countingCluster{delay: 20 * time.Millisecond}
	view := New(c).WithMaxAge(time.Minute)
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	view.Jobs(canceled, backends.Selection{})
	if _, err := view.Jobs(context.Background(), backends.Selection{}); err != nil || c.jobs.Load() != 1 {
		t.Errorf("got %v after %d reads", err, c.jobs.Load())
	}
}

func TestShared_SlowRead(t *testing.T) {
	c := &countingCluster{delay: time.Second}
	shared := New(c)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { shared.WithMaxAge(50*time.Millisecond).Jobs(context.Background(), backends.Selection{}) })
	}
	wg.Wait()
	if c.jobs.Load() != 1 {
		t.Errorf("read %d times, want once", c.jobs.Load())
	}
}

func TestShared_CallerDeadline(t *testing.T) {
	c := &countingCluster{delay: time.Minute}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := New(c).WithMaxAge(time.Minute).Jobs(ctx, backends.Selection{}); err == nil ||
		time.Since(begin) > 30*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}

func TestShared_Panic(t *testing.T) {
	view := New(nil).WithMaxAge(time.Minute) // a nil cluster panics
	for range 2 {
		if _, err := view.Jobs(context.Background(), backends.Selection{}); err == nil {
			t.Error("got no error")
		}
	}
}

func TestShared_ZeroMaxAge(t *testing.T) {
	c := &countingCluster{}
	for range 2 {
		New(c).WithMaxAge(0).Jobs(context.Background(), backends.Selection{})
	}
	if c.jobs.Load() != 2 {
		t.Errorf("read %d times, want 2", c.jobs.Load())
	}
}
