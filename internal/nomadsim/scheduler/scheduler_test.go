package scheduler

import (
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// testClients starts and stops allocations one step later. It records both.
type testClients struct {
	scheduler        *Scheduler
	started, stopped []string
}

func (c *testClients) Start(st *store.State, id string) {
	c.started = append(c.started, id)
	st.AfterStep(func(st *store.State) {
		a := st.AllocationByID(id)
		if a == nil || a.Terminal() {
			return
		}
		st.UpdateAllocation(a, func(a *store.Allocation) { a.ClientStatus = "running" })
		c.scheduler.MarkHealthy(st, id)
	})
}

func (c *testClients) Stop(st *store.State, id string) {
	c.stopped = append(c.stopped, id)
	st.AfterStep(func(st *store.State) {
		st.UpdateAllocation(st.AllocationByID(id), func(a *store.Allocation) { a.ClientStatus = "complete" })
	})
}

// starts returns the number of started allocations.
func (c *testClients) starts(s *store.Store) (n int) {
	s.View(func(*store.State) { n = len(c.started) })
	return n
}

// stops returns the number of stopped allocations.
func (c *testClients) stops(s *store.Store) (n int) {
	s.View(func(*store.State) { n = len(c.stopped) })
	return n
}

// fail makes an allocation fail.
func (c *testClients) fail(st *store.State, id string) {
	before := st.AllocationByID(id)
	st.UpdateAllocation(before, func(a *store.Allocation) { a.ClientStatus = "failed" })
	c.scheduler.ClientStatusChanged(st, before, st.AllocationByID(id))
}

// testScheduler calls test in simulated time with a cluster of one node.
func testScheduler(t *testing.T, test func(t *testing.T, s *store.Store, sc *Scheduler, c *testClients),
) {
	synctest.Test(t, func(t *testing.T) {
		s, c := store.New(), &testClients{}
		c.scheduler = New(c)
		s.Update(func(st *store.State) { st.AddNode(jobspec.Node{Name: "node-1"}) })
		test(t, s, c.scheduler, c)
		s.Close()
	})
}

// submit submits a service with one group "g", and waits until the job is idle.
func submit(t *testing.T, s *store.Store, sc *Scheduler, version string, g jobspec.Group) *store.Job {
	t.Helper()
	submitOnly(s, sc, version, g)
	return wait(t, s)
}

func submitOnly(s *store.Store, sc *Scheduler, version string, g jobspec.Group) {
	g.Name = "g"
	g.Tasks = []jobspec.Task{{Name: "t", Env: map[string]string{"VERSION": version}}}
	spec := jobspec.Job{ID: "web", Groups: []jobspec.Group{g}}
	spec.FillDefaults()
	s.Update(func(st *store.State) {
		sc.Submit(st, st.Job("default", "web"), &store.Job{Registration: spec.Register()})
	})
}

// wait waits until the job is idle and returns it.
func wait(t *testing.T, s *store.Store) (j *store.Job) {
	t.Helper()
	idle := false
	for range 100 {
		time.Sleep(time.Second)
		s.View(func(st *store.State) { j, idle = st.Job("default", "web"), Idle(st, "default", "web") })
		if idle {
			return j
		}
	}
	t.Fatalf("the job is not idle: %+v", j)
	return nil
}

// running returns the running allocations of a job by version.
func running(j *store.Job) map[uint64]int {
	count := map[uint64]int{}
	for _, a := range j.Allocations {
		if a.ClientStatus == "running" && a.DesiredStatus == "run" {
			count[a.Job.Version]++
		}
	}
	return count
}

func TestSubmit_StartsAllocations(t *testing.T) {
	testScheduler(t, func(t *testing.T, s *store.Store, sc *Scheduler, c *testClients) {
		j := submit(t, s, sc, "1", jobspec.Group{Count: 3})
		if got := running(j); got[0] != 3 || c.starts(s) != 3 || c.stops(s) != 0 {
			t.Errorf("got %v running, %d started, %d stopped, want 3 new ones", got, c.starts(s), c.stops(s))
		}
		if j.Deployment == nil || j.Deployment.Status != "successful" || j.Status != "running" {
			t.Errorf("got status %s, deployment %+v, want a successful deployment", j.Status, j.Deployment)
		}
		again := submit(t, s, sc, "1", jobspec.Group{Count: 3})
		if again.Version != 0 || c.starts(s) != 3 {
			t.Errorf("the same job: got version %d and %d starts, want nothing new", again.Version, c.starts(s))
		}
	})
}

func TestSubmit_UpdatesInBatches(t *testing.T) {
	testScheduler(t, func(t *testing.T, s *store.Store, sc *Scheduler, c *testClients) {
		submit(t, s, sc, "1", jobspec.Group{Count: 3})
		j := submit(t, s, sc, "2", jobspec.Group{Count: 3, Update: &jobspec.Update{MaxParallel: 2}})
		if got := running(j); got[0] != 0 || got[1] != 3 || c.stops(s) != 3 {
			t.Errorf("got %v running and %d stopped, want 3 of the new version and 3", got, c.stops(s))
		}
	})
}

func TestSubmit_CountChangesInPlace(t *testing.T) {
	testScheduler(t, func(t *testing.T, s *store.Store, sc *Scheduler, c *testClients) {
		submit(t, s, sc, "1", jobspec.Group{Count: 3})
		j := submit(t, s, sc, "1", jobspec.Group{Count: 2})
		if got := running(j); got[1] != 2 || c.starts(s) != 3 || c.stops(s) != 1 {
			t.Errorf("got %v running, %d started, %d stopped, want one stopped", got, c.starts(s), c.stops(s))
		}
	})
}

func TestPlacement_Blocked(t *testing.T) {
	testScheduler(t, func(t *testing.T, s *store.Store, sc *Scheduler, c *testClients) {
		g := jobspec.Group{Count: 2, Constraints: []jobspec.Constraint{{Left: "${node.unique.name}", Right: "node-2"}}}
		submitOnly(s, sc, "1", g)
		time.Sleep(time.Minute)
		var blocked *store.Evaluation
		s.View(func(st *store.State) { blocked = st.Job("default", "web").Evaluations[0] })
		if blocked.Status != "blocked" || blocked.FailedTGAllocs["g"].NodesFiltered != 1 || c.starts(s) > 0 {
			t.Fatalf("got %+v, %d started, want a blocked evaluation", blocked, c.starts(s))
		}
		s.Update(func(st *store.State) { sc.StartClient(st, st.AddNode(jobspec.Node{Name: "node-2"})) })
		if got := running(wait(t, s)); got[0] != 2 {
			t.Errorf("with a node: got %v running, want 2", got)
		}
	})
}

func TestReschedule_WaitsForDelay(t *testing.T) {
	testScheduler(t, func(t *testing.T, s *store.Store, sc *Scheduler, c *testClients) {
		policy := &jobspec.Reschedule{Attempts: 1, Delay: time.Hour, Interval: 24 * time.Hour}
		j := submit(t, s, sc, "1", jobspec.Group{Count: 1, Reschedule: policy})
		first := j.Allocations[0].ID
		s.Update(func(st *store.State) { c.fail(st, first) })
		time.Sleep(time.Hour - time.Minute)
		if c.starts(s) != 1 {
			t.Errorf("got %d starts before the delay, want only the first", c.starts(s))
		}
		time.Sleep(2 * time.Minute)
		j = wait(t, s)
		if got := running(j); got[0] != 1 || c.starts(s) != 2 {
			t.Fatalf("got %v running after %d starts, want a replacement", got, c.starts(s))
		}
		s.Update(func(st *store.State) { c.fail(st, c.started[1]) })
		time.Sleep(48 * time.Hour)
		if c.starts(s) != 2 {
			t.Errorf("got %d starts, want no second reschedule", c.starts(s))
		}
	})
}

func TestMissHeartbeat_ReplacesLost(t *testing.T) {
	testScheduler(t, func(t *testing.T, s *store.Store, sc *Scheduler, c *testClients) {
		submit(t, s, sc, "1", jobspec.Group{Count: 1})
		s.Update(func(st *store.State) {
			st.AddNode(jobspec.Node{Name: "node-2"})
			sc.KillClient(st, st.NodeNamed("node-1"))
		})
		time.Sleep(time.Minute)
		j := wait(t, s)
		lost := 0
		for _, a := range j.Allocations {
			if a.ClientStatus == "lost" {
				lost++
			}
		}
		if got := running(j); got[0] != 1 || lost != 1 {
			t.Errorf("got %v running and %d lost, want 1 and 1", got, lost)
		}
	})
}

func TestPromote_AutoPromoteOnce(t *testing.T) {
	testScheduler(t, func(t *testing.T, s *store.Store, sc *Scheduler, c *testClients) {
		update := &jobspec.Update{Canary: 1, AutoPromote: true}
		submit(t, s, sc, "1", jobspec.Group{Count: 1, Update: update})
		j := submit(t, s, sc, "2", jobspec.Group{Count: 1, Update: update})
		d := j.Deployment
		s.Update(func(st *store.State) {
			before := st.Index
			sc.autoPromote(st, d.ID)
			if g := d.TaskGroups["g"]; d.Status != "successful" || !g.Promoted || st.Index != before {
				t.Errorf("got %s, %+v, and the index %d after %d, want it promoted and over", d.Status, g, st.Index, before)
			}
		})
		if got := running(j); got[0] != 0 || got[1] != 1 {
			t.Errorf("got %v running, want one of the new version", got)
		}
	})
}

func TestFailDeployment_RevertsToStable(t *testing.T) {
	testScheduler(t, func(t *testing.T, s *store.Store, sc *Scheduler, c *testClients) {
		update := &jobspec.Update{Canary: 1, AutoRevert: true}
		submit(t, s, sc, "1", jobspec.Group{Count: 2, Update: update})
		submitOnly(s, sc, "2", jobspec.Group{Count: 2, Update: update})
		time.Sleep(time.Minute)
		s.Update(func(st *store.State) {
			d := st.Job("default", "web").Deployment
			if err := CheckPromotion(st, d, nil); err != nil || len(c.started) != 3 {
				t.Errorf("canary: got %v after %d starts, want it healthy", err, len(c.started))
			}
			sc.FailDeployment(st, d, "Deployment marked as failed")
		})
		j := wait(t, s)
		if got := running(j); j.Version != 2 || got[0]+got[2] != 2 || got[1] != 0 {
			t.Errorf("got version %d, %v running, want the first version again", j.Version, got)
		}
	})
}
