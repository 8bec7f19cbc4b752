package store

import "time"

// defaultStepInterval is the initial step interval.
const defaultStepInterval = 20 * time.Millisecond

// maxDelaySteps limits the delays of restart and reschedule policies when no real process runs, so that a test does not
// wait for half a minute.
const maxDelaySteps = 10

// AfterStep waits until these channels are closed, then for one step, and calls do in another transaction. If the store
// is closed first, do is not called.
func (st *State) AfterStep(do func(st *State), exited ...<-chan struct{}) {
	st.AfterDelay(st.stepInterval, do, exited...)
}

// AfterDelay is afterStep with a delay.
func (st *State) AfterDelay(d time.Duration, do func(st *State), exited ...<-chan struct{}) {
	s := st.store
	if !s.Acquire() {
		return
	}
	go func() {
		defer s.Release()
		for _, c := range exited {
			<-c
		}
		select {
		case <-time.After(d):
		case <-s.ctx.Done():
			return
		}
		s.Update(func(st *State) {
			if s.ctx.Err() == nil {
				do(st)
			}
		})
	}()
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
