package sshd

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// maxIdleWarning is the maximum time between the warning and the close of an idle session.
const maxIdleWarning = time.Minute

// idleWarning returns the time between the warning and the close of an idle session.
func (l Limits) idleWarning() time.Duration { return min(maxIdleWarning, l.IdleTimeout/2) }

// idleBeforeWarning returns the time without activity after which the user is warned.
func (l Limits) idleBeforeWarning() time.Duration { return l.IdleTimeout - l.idleWarning() }

// idleFired is called by the idle timer: first to warn, and then to close the connection.
func (c *connection) idleFired() {
	c.mu.Lock()
	warned := c.idleWarned
	if c.closed || time.Since(c.lastActive) < c.limits.idleBeforeWarning() { // markActive came first
		c.mu.Unlock()
		return
	}
	if !warned {
		c.idleWarned = true
		c.idle.Reset(c.limits.idleWarning())
	}
	c.mu.Unlock()
	if warned {
		c.expire()
		return
	}
	if running, onTerminal := c.runningCommands(); onTerminal {
		for _, ch := range running {
			ch.printInBackground(fmt.Sprintf("no input or output for %s; this session will be closed in %s (limits.idle)",
				c.limits.idleBeforeWarning(), c.limits.idleWarning()))
		}
	}
}

// runningCommands returns the channels with a command, and whether all these commands have a terminal.
func (c *connection) runningCommands() (running []*channel, onTerminal bool) {
	c.mu.Lock()
	channels := slices.Collect(maps.Keys(c.channels))
	c.mu.Unlock()
	onTerminal = true
	for _, ch := range channels {
		if !ch.hasStarted() {
			continue
		}
		running = append(running, ch)
		if terminal, _, _ := ch.clientSettings(); terminal == nil {
			onTerminal = false
		}
	}
	return running, onTerminal
}

// expire closes the connection after the idle timeout. A command without a terminal may be silent for hours, so the
// connection stays open while one is running. Commands with a terminal are canceled with a message for the user.
func (c *connection) expire() {
	running, onTerminal := c.runningCommands()
	switch {
	case !onTerminal:
		c.markActive()
		return
	case len(running) == 0:
		c.Close()
		return
	}
	for _, ch := range running {
		ch.cancel(fmt.Errorf("closed after %s without input or output (limits.idle)", c.limits.IdleTimeout))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.deadline.Reset(c.limits.StopGrace)
	}
}
