package sim

import "time"

// defaultStepInterval is how long a step takes unless Pace says otherwise.
const defaultStepInterval = 20 * time.Millisecond

// maxDelaySteps is how many steps a delay of a policy takes at most where nothing real waits for it: a simulated failure
// need not keep a test waiting for half a minute.
const maxDelaySteps = 10

// SetStepInterval sets how long each step takes by which orders come true: an evaluation until it is processed, an allocation until
// its client has it, a start, a stop and a verdict on its health. It is 20 ms at first.
func (c *Cluster) SetStepInterval(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stepInterval = d
}

// afterStep does something a step from now, under the lock, once what is ending has ended. When the cluster is closed
// before that, it is not done. c.mu is held.
func (c *Cluster) afterStep(do func(), ending ...*taskRunner) {
	c.afterDelay(c.stepInterval, do, ending...)
}

// afterDelay is later with a delay of its own.
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

// capDelay is a policy's delay, cut to what a simulated failure waits at most. An hour is meant: who sets it wants to see
// the failure.
func (c *Cluster) capDelay(d time.Duration) time.Duration {
	if d >= time.Hour {
		return d
	}
	return min(d, maxDelaySteps*c.stepInterval)
}
