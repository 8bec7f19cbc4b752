package sim

import "time"

// usualPace is how long a step takes unless Pace says otherwise.
const usualPace = 20 * time.Millisecond

// longestDelay is how many steps a delay of a policy takes at most where nothing real waits for it: a simulated failure
// need not keep a test waiting for half a minute.
const longestDelay = 10

// Pace sets how long each step takes by which orders come true: an evaluation until it is processed, an allocation until
// its client has it, a start, a stop and a verdict on its health. It is 20 ms at first.
func (c *Cluster) Pace(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pace = d
}

// later does something a step from now, under the lock, once what is ending has ended. When the cluster is closed
// before that, it is not done. c.mu is held.
func (c *Cluster) later(do func(), ending ...*life) { c.after(c.pace, do, ending...) }

// after is later with a delay of its own.
func (c *Cluster) after(d time.Duration, do func(), ending ...*life) {
	if !c.host.enter() {
		return
	}
	go func() {
		defer c.host.leave()
		waitFor(ending)
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

// delayed is a policy's delay, cut to what a simulated failure waits at most. An hour is meant: who sets it wants to see
// the failure.
func (c *Cluster) delayed(d time.Duration) time.Duration {
	if d >= time.Hour {
		return d
	}
	return min(d, longestDelay*c.pace)
}
