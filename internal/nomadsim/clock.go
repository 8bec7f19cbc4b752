package nomadsim

import "time"

// defaultStepInterval is the initial step interval.
const defaultStepInterval = 20 * time.Millisecond

// maxDelaySteps limits the delay of a policy in simulated failures, so that a test does not wait for half a minute.
const maxDelaySteps = 10

// afterStep calls the func do in another transaction after one step, and after these channels were closed. If the store
// is closed first, do is not called.
func (st *state) afterStep(do func(st *state), exited ...<-chan struct{}) {
	st.afterDelay(st.stepInterval, do, exited...)
}

// afterDelay is afterStep with a delay.
func (st *state) afterDelay(d time.Duration, do func(st *state), exited ...<-chan struct{}) {
	s := st.store
	if !s.acquire() {
		return
	}
	go func() {
		defer s.release()
		for _, c := range exited {
			<-c
		}
		select {
		case <-time.After(d):
		case <-s.ctx.Done():
			return
		}
		s.update(func(st *state) {
			if s.ctx.Err() == nil {
				do(st)
			}
		})
	}()
}

// capDelay limits a policy's delay to maxDelaySteps. Delays of an hour or more are not limited: tests use them to
// keep the failed state.
func (st *state) capDelay(d time.Duration) time.Duration {
	if d >= time.Hour {
		return d
	}
	return min(d, maxDelaySteps*st.stepInterval)
}

// setStepInterval sets the duration of a simulation step.
func (st *state) setStepInterval(d time.Duration) { st.stepInterval = d }

// steps returns the duration of a number of steps.
func (st *state) steps(n int) time.Duration { return time.Duration(n) * st.stepInterval }
