package nomadsim

import "time"

// defaultStepInterval is the initial step interval.
const defaultStepInterval = 20 * time.Millisecond

// maxDelaySteps limits the delays of restart and reschedule policies when no real process runs, so that a test does not
// wait for half a minute.
const maxDelaySteps = 10

// SetStepInterval sets the duration of a simulation step (default 20 ms). Each of these takes one step: processing an
// evaluation, starting an allocation on its client, starting or stopping a task, and reporting its health.
func (c *Cluster) SetStepInterval(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stepInterval = d
}

// afterStep waits until the ending runners have exited, then for one step, and calls do with c.mu held. If the cluster
// is closed first, do is not called. c.mu is held.
func (c *Cluster) afterStep(do func(), ending ...*taskRunner) {
	c.afterDelay(c.stepInterval, do, ending...)
}

// afterDelay is afterStep with a delay.
func (c *Cluster) afterDelay(d time.Duration, do func(), ending ...*taskRunner) {
	if !c.host.acquire() {
		return
	}
	go func() {
		defer c.host.release()
		waitForExit(ending)
		select {
		case <-time.After(d):
		case <-c.host.ctx.Done():
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.host.ctx.Err() == nil {
			do()
		}
	}()
}

// capDelay limits a policy's delay to maxDelaySteps. Delays of an hour or more are not limited: tests use them to
// keep the failed state.
func (c *Cluster) capDelay(d time.Duration) time.Duration {
	if d >= time.Hour {
		return d
	}
	return min(d, maxDelaySteps*c.stepInterval)
}
