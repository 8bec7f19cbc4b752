package backends

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counted is a cluster that counts what it is asked and takes its time.
type counted struct {
	Cluster
	jobs, usage atomic.Int32
	takes       time.Duration
	err         error
}

func (c *counted) Jobs(context.Context, Selection) ([]Job, error) {
	c.jobs.Add(1)
	time.Sleep(c.takes)
	return []Job{{ID: "a"}}, c.err
}

func (c *counted) Usage(context.Context, []Allocation) map[string]Usage {
	c.usage.Add(1)
	time.Sleep(c.takes)
	return map[string]Usage{"x": {}}
}

func TestManyViewersCostAsMuchAsOne(t *testing.T) {
	c := &counted{takes: 10 * time.Millisecond}
	shared := Share(c)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			view := shared.Within(time.Minute)
			for range 3 {
				if jobs, err := view.Jobs(context.Background(), Selection{}); err != nil || len(jobs) != 1 {
					t.Errorf("got %v, %v", jobs, err)
				}
				if usage := view.Usage(context.Background(), []Allocation{{ID: "a"}}); len(usage) != 1 {
					t.Errorf("got %v", usage)
				}
			}
		})
	}
	wg.Wait()
	if c.jobs.Load() != 1 || c.usage.Load() != 1 {
		t.Errorf("asked %d times for jobs and %d for usage, want 1", c.jobs.Load(), c.usage.Load())
	}
}

func TestDifferentThingsAreAskedForApart(t *testing.T) {
	c := &counted{}
	view := Share(c).Within(time.Minute)
	for _, s := range []Selection{{}, {Tier: "a"}, {Prefixes: []string{"a"}}, {Prefixes: []string{"b"}}, {Namespace: "a"}, {Finished: true}} {
		view.Jobs(context.Background(), s)
	}
	if c.jobs.Load() != 6 {
		t.Errorf("asked %d times, want 6: somebody has seen what somebody else asked for", c.jobs.Load())
	}
}

func TestAnswersGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counted{err: errors.New("down")}
		view := Share(c).Within(50 * time.Millisecond)
		for range 2 {
			if _, err := view.Jobs(context.Background(), Selection{}); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v: errors are shared too", err, c.err)
			}
		}
		time.Sleep(60 * time.Millisecond)
		view.Jobs(context.Background(), Selection{})
		if c.jobs.Load() != 2 {
			t.Errorf("asked %d times, want 2", c.jobs.Load())
		}
	})
}

func TestAViewerWhoLeavesTakesNothingFromTheOthers(t *testing.T) {
	c := &counted{takes: 20 * time.Millisecond}
	view := Share(c).Within(time.Minute)
	gone, leave := context.WithCancel(context.Background())
	leave()
	view.Jobs(gone, Selection{})
	if _, err := view.Jobs(context.Background(), Selection{}); err != nil || c.jobs.Load() != 1 {
		t.Errorf("got %v after %d questions", err, c.jobs.Load())
	}
}

func TestASlowClusterIsStillAskedOnce(t *testing.T) {
	c := &counted{takes: time.Second}
	shared := Share(c)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { shared.Within(50*time.Millisecond).Jobs(context.Background(), Selection{}) })
	}
	wg.Wait()
	if c.jobs.Load() != 1 {
		t.Errorf("asked %d times, want once", c.jobs.Load())
	}
}

func TestAViewerNeedNotWaitForTheAnswer(t *testing.T) {
	c := &counted{takes: time.Minute}
	ctx, leave := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer leave()
	begin := time.Now()
	if _, err := Share(c).Within(time.Minute).Jobs(ctx, Selection{}); err == nil || time.Since(begin) > 30*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}

func TestAPanicIsEverybodysError(t *testing.T) {
	view := Share(nil).Within(time.Minute) // a nil cluster panics
	for range 2 {
		if _, err := view.Jobs(context.Background(), Selection{}); err == nil {
			t.Error("got none")
		}
	}
}

func TestWithoutAnAgeNothingIsShared(t *testing.T) {
	c := &counted{}
	for range 2 {
		Share(c).Within(0).Jobs(context.Background(), Selection{})
	}
	if c.jobs.Load() != 2 {
		t.Errorf("asked %d times, want 2", c.jobs.Load())
	}
}
