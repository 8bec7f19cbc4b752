package clusterview

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// countingCluster is a slow cluster that counts its reads.
type countingCluster struct {
	delay time.Duration
	err   error

	mu    sync.Mutex
	reads map[string]int // by method; guarded by mu
}

func (c *countingCluster) read(method string) error {
	c.mu.Lock()
	if c.reads == nil {
		c.reads = map[string]int{}
	}
	c.reads[method]++
	c.mu.Unlock()
	time.Sleep(c.delay)
	return c.err
}

func (c *countingCluster) count(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads[method]
}

func (c *countingCluster) Jobs(context.Context, backends.Selection) ([]backends.Job, error) {
	return []backends.Job{{ID: "a"}}, c.read("Jobs")
}

func (c *countingCluster) Job(context.Context, backends.Job) (backends.JobDetail, error) {
	return backends.JobDetail{}, c.read("Job")
}

func (c *countingCluster) Schedules(_ context.Context, jobs []backends.Job) ([]backends.Schedule, error) {
	return make([]backends.Schedule, len(jobs)), c.read("Schedules")
}

func (c *countingCluster) Definition(context.Context, backends.Job, *uint64) (json.RawMessage, error) {
	return json.RawMessage("{}"), c.read("Definition")
}

func (c *countingCluster) Versions(context.Context, backends.Job) ([]backends.Version, error) {
	return nil, c.read("Versions")
}

func (c *countingCluster) Deployments(context.Context, backends.Job) ([]backends.Deployment, error) {
	return nil, c.read("Deployments")
}

func (c *countingCluster) Allocation(context.Context, backends.Allocation) (backends.AllocationDetail, error) {
	return backends.AllocationDetail{}, c.read("Allocation")
}

func (c *countingCluster) Checks(context.Context, []backends.Allocation) map[string][]backends.Check {
	_ = c.read("Checks")
	return map[string][]backends.Check{"x": {}}
}

func (c *countingCluster) NodeStates(context.Context, []backends.Allocation) map[string]backends.NodeState {
	_ = c.read("NodeStates")
	return map[string]backends.NodeState{"x": {}}
}

func (c *countingCluster) NodeAddress(context.Context, backends.Allocation) (string, error) {
	return "192.0.2.1", c.read("NodeAddress")
}

func (c *countingCluster) Usage(context.Context, []backends.Allocation) map[string]backends.Usage {
	_ = c.read("Usage")
	return map[string]backends.Usage{"x": {}}
}

// calls has a call of each method of a cluster, about a job or version that arg selects.
var calls = map[string]func(ctx context.Context, c backends.Cluster, arg string) error{
	"Jobs": func(ctx context.Context, c backends.Cluster, arg string) error {
		_, err := c.Jobs(ctx, backends.Selection{Namespace: arg})
		return err
	},
	"Job": func(ctx context.Context, c backends.Cluster, arg string) error {
		_, err := c.Job(ctx, backends.Job{ID: arg})
		return err
	},
	"Schedules": func(ctx context.Context, c backends.Cluster, arg string) error {
		_, err := c.Schedules(ctx, []backends.Job{{ID: "a"}, {ID: arg}})
		return err
	},
	"Definition": func(ctx context.Context, c backends.Cluster, arg string) error {
		version := uint64(len(arg))
		_, err := c.Definition(ctx, backends.Job{ID: "a"}, &version)
		return err
	},
	"Versions": func(ctx context.Context, c backends.Cluster, arg string) error {
		_, err := c.Versions(ctx, backends.Job{Namespace: arg})
		return err
	},
	"Deployments": func(ctx context.Context, c backends.Cluster, arg string) error {
		_, err := c.Deployments(ctx, backends.Job{ID: arg})
		return err
	},
	"Allocation": func(ctx context.Context, c backends.Cluster, arg string) error {
		_, err := c.Allocation(ctx, backends.Allocation{ID: arg})
		return err
	},
	"Checks": func(ctx context.Context, c backends.Cluster, arg string) error {
		c.Checks(ctx, []backends.Allocation{{ID: "a", Status: arg}})
		return nil
	},
	"NodeStates": func(ctx context.Context, c backends.Cluster, arg string) error {
		c.NodeStates(ctx, []backends.Allocation{{ID: arg}})
		return nil
	},
	"NodeAddress": func(ctx context.Context, c backends.Cluster, arg string) error {
		_, err := c.NodeAddress(ctx, backends.Allocation{ID: arg})
		return err
	},
	"Usage": func(ctx context.Context, c backends.Cluster, arg string) error {
		c.Usage(ctx, []backends.Allocation{{ID: arg}})
		return nil
	},
}

// TestView_EachMethod makes a call, two more while its read is running, and one later, through views with and without
// caching.
func TestView_EachMethod(t *testing.T) {
	cached := []string{"Jobs", "Job", "Schedules", "Usage", "Checks", "NodeStates"}
	coalesced := []string{"Jobs", "Job", "Definition", "Versions", "Deployments"}
	for _, method := range slices.Sorted(maps.Keys(calls)) {
		for _, maxAge := range []time.Duration{0, time.Minute} {
			want := 4
			switch {
			case maxAge > 0 && slices.Contains(cached, method):
				want = 1
			case maxAge == 0 && slices.Contains(coalesced, method):
				want = 3
			}
			synctest.Test(t, func(t *testing.T) {
				c := &countingCluster{delay: time.Second}
				view := New(c).WithMaxAge(maxAge)
				call := func() {
					if err := calls[method](t.Context(), view, "x"); err != nil {
						t.Errorf("%s: %v", method, err)
					}
				}
				var callers sync.WaitGroup
				callers.Go(call)
				synctest.Wait()
				callers.Go(call)
				callers.Go(call)
				callers.Wait()
				time.Sleep(10 * time.Second)
				call()
				if got := c.count(method); got != want {
					t.Errorf("%s, at most %s old: read %d times, want %d", method, maxAge, got, want)
				}
			})
		}
	}
}

// TestView_KeysDiffer checks that calls with different arguments do not share a response.
func TestView_KeysDiffer(t *testing.T) {
	for method, call := range calls {
		for _, maxAge := range []time.Duration{0, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				c := &countingCluster{delay: time.Second}
				view := New(c).WithMaxAge(maxAge)
				var callers sync.WaitGroup
				for _, arg := range []string{"x", "xy"} {
					callers.Go(func() { _ = call(t.Context(), view, arg) })
				}
				callers.Wait()
				if got := c.count(method); got != 2 {
					t.Errorf("%s, at most %s old: read %d times, want 2", method, maxAge, got)
				}
			})
		}
	}
}

func TestShared_OneReadForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &countingCluster{delay: 10 * time.Millisecond}
		shared := New(c)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				view := shared.WithMaxAge(time.Minute)
				for range 3 {
					if jobs, err := view.Jobs(t.Context(), backends.Selection{}); err != nil || len(jobs) != 1 {
						t.Errorf("got %v, %v", jobs, err)
					}
					if usage := view.Usage(t.Context(), []backends.Allocation{{ID: "a"}}); len(usage) != 1 {
						t.Errorf("got %v", usage)
					}
				}
			})
		}
		wg.Wait()
		if c.count("Jobs") != 1 || c.count("Usage") != 1 {
			t.Errorf("read jobs %d times and usage %d times, want 1", c.count("Jobs"), c.count("Usage"))
		}
	})
}

func TestShared_SelectionsDiffer(t *testing.T) {
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
		view.Jobs(t.Context(), s)
	}
	if c.count("Jobs") != 6 {
		t.Errorf("read %d times, want 6: two selections shared a response", c.count("Jobs"))
	}
}

func TestShared_MaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &countingCluster{err: errors.New("down")}
		view := New(c).WithMaxAge(50 * time.Millisecond)
		for range 2 {
			if _, err := view.Jobs(t.Context(), backends.Selection{}); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v: errors are shared too", err, c.err)
			}
		}
		time.Sleep(60 * time.Millisecond)
		view.Jobs(t.Context(), backends.Selection{})
		if c.count("Jobs") != 2 {
			t.Errorf("read %d times, want 2", c.count("Jobs"))
		}
	})
}

// TestShared_DeletesOld checks that responses that no view accepts do not stay in memory.
func TestShared_DeletesOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := New(&countingCluster{})
		view := shared.WithMaxAge(time.Minute)
		for _, namespace := range []string{"a", "b", "c"} {
			view.Jobs(t.Context(), backends.Selection{Namespace: namespace})
		}
		time.Sleep(maxResponseAge + time.Second)
		view.Jobs(t.Context(), backends.Selection{Namespace: "d"})
		if n := len(shared.responses.responses); n != 1 {
			t.Errorf("%d responses are in memory, want 1", n)
		}
	})
}

func TestShared_CallerCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &countingCluster{delay: 20 * time.Millisecond}
		view := New(c).WithMaxAge(time.Minute)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		view.Jobs(canceled, backends.Selection{})
		if _, err := view.Jobs(t.Context(), backends.Selection{}); err != nil || c.count("Jobs") != 1 {
			t.Errorf("got %v after %d reads", err, c.count("Jobs"))
		}
	})
}

func TestShared_SlowRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &countingCluster{delay: time.Second}
		shared := New(c)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { shared.WithMaxAge(50*time.Millisecond).Jobs(t.Context(), backends.Selection{}) })
		}
		wg.Wait()
		if c.count("Jobs") != 1 {
			t.Errorf("read %d times, want once", c.count("Jobs"))
		}
	})
}

// deadlineCluster returns when its context ends, with the time that it had.
type deadlineCluster struct {
	backends.Cluster
	had time.Duration
}

func (c *deadlineCluster) Jobs(ctx context.Context, _ backends.Selection) ([]backends.Job, error) {
	started := time.Now()
	<-ctx.Done()
	c.had = time.Since(started)
	return []backends.Job{{ID: "partial"}}, ctx.Err()
}

// TestShared_Deadline checks that a shared read ends shortly before the deadline of its first caller, so that partial
// results arrive in time, or after cachedReadTimeout.
func TestShared_Deadline(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: cachedReadTimeout, 10 * time.Second: 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := new(deadlineCluster)
			ctx, cancel := context.WithCancel(t.Context())
			if timeout > 0 {
				ctx, cancel = context.WithTimeout(t.Context(), timeout)
			}
			defer cancel()
			jobs, err := New(c).WithMaxAge(time.Minute).Jobs(ctx, backends.Selection{})
			if len(jobs) != 1 || !errors.Is(err, context.DeadlineExceeded) || c.had != want {
				t.Errorf("timeout %s: got %v, %v after %s, want a partial result after %s", timeout, jobs, err, c.had, want)
			}
		})
	}
}

// TestShared_CallerDeadline checks that a caller does not wait longer than its deadline for a cluster that hangs.
func TestShared_CallerDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &countingCluster{delay: time.Minute}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		started := time.Now()
		_, err := New(c).WithMaxAge(time.Minute).Jobs(ctx, backends.Selection{})
		if took := time.Since(started); !errors.Is(err, context.DeadlineExceeded) || took != 50*time.Millisecond {
			t.Errorf("got %v after %s", err, took)
		}
		time.Sleep(c.delay) // until the read has ended
	})
}

func TestShared_Panic(t *testing.T) {
	for _, maxAge := range []time.Duration{0, time.Minute} {
		view := New(nil).WithMaxAge(maxAge) // a nil cluster panics
		for range 2 {
			if _, err := view.Jobs(t.Context(), backends.Selection{}); err == nil {
				t.Errorf("at most %s old: got no error", maxAge)
			}
		}
	}
}
