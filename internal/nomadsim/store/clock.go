package store

import (
	"slices"
	"time"
)

// defaultStepInterval is the initial step interval.
const defaultStepInterval = 20 * time.Millisecond

// maxDelaySteps limits reschedule delays, and the restart delays of tasks without a process, so that a test does not
// wait for half a minute.
const maxDelaySteps = 10

// step is a transaction that is due at a time.
type step struct {
	due time.Time
	do  func(st *State)
}

// AfterStep schedules do: it is called in another transaction, one step after these channels are closed. If the store
// is closed first, do is not called. Steps run in the order in which they are due, even on a busy machine.
func (st *State) AfterStep(do func(st *State), exited ...<-chan struct{}) {
	st.AfterDelay(st.stepInterval, do, exited...)
}

// AfterDelay is AfterStep with a delay.
func (st *State) AfterDelay(d time.Duration, do func(st *State), exited ...<-chan struct{}) {
	s := st.store
	if !s.Acquire() {
		return
	}
	if len(exited) == 0 {
		st.schedule(time.Now().Add(d), do)
	}
	go func() {
		defer s.Release()
		if len(exited) > 0 {
			for _, c := range exited {
				<-c
			}
			s.Update(func(st *State) { st.schedule(time.Now().Add(d), do) })
		}
		select {
		case <-time.After(d):
		case <-s.ctx.Done():
			return
		}
		s.Update(func(st *State) {
			if s.ctx.Err() == nil {
				st.runNextStep()
			}
		})
	}()
}

// schedule adds a step after those that are due before it or at the same time.
func (st *State) schedule(due time.Time, do func(st *State)) {
	i, _ := slices.BinarySearchFunc(st.pending, due, func(s step, due time.Time) int {
		if s.due.After(due) {
			return 1
		}
		return -1
	})
	st.pending = slices.Insert(st.pending, i, step{due, do})
}

// runNextStep runs the step that is due first. Each step has a goroutine that calls it once, when its own step is due.
// If the goroutines are late, the steps still run in order.
func (st *State) runNextStep() {
	next := st.pending[0]
	st.pending = slices.Delete(st.pending, 0, 1)
	next.do(st)
}

// CapDelay limits a policy's delay to maxDelaySteps. Delays of an hour or more are not limited: tests use them to
// keep the failed state.
func (st *State) CapDelay(d time.Duration) time.Duration {
	if d >= time.Hour {
		return d
	}
	return min(d, maxDelaySteps*st.stepInterval)
}

// SetStepInterval sets the duration of a simulation step.
func (st *State) SetStepInterval(d time.Duration) { st.stepInterval = d }

// Steps returns the duration of a number of steps.
func (st *State) Steps(n int) time.Duration { return time.Duration(n) * st.stepInterval }
