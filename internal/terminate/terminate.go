// Package terminate schedules the signals that make a program exit: HUP, TERM and KILL. It does not know how a signal
// is sent.
package terminate

import (
	"context"
	"errors"
	"time"
)

// Intervals are the times between the signals.
type Intervals struct {
	Grace time.Duration // from HUP to TERM, and from TERM to KILL, if the program can be signaled at once
	Check time.Duration // from a signal to a check whether the program has exited; 0: Run does not check
}

// Default is for programs in tasks.
var Default = Intervals{Grace: 3 * time.Second, Check: time.Second}

// slowSignals is the time that signals on a busy node may take to send, all together.
const slowSignals = 10 * time.Second

// Timeout returns the longest time from HUP to the exit of a program that exits within afterKill after KILL.
func (i Intervals) Timeout(afterKill time.Duration) time.Duration {
	return 2*i.Grace + slowSignals + afterKill
}

// ErrStillRunning reports a program that has not exited after the last step.
var ErrStillRunning = errors.New("the program is still running")

// step is a signal, and the pause before it. Signal 0 only checks whether the program is running.
type step struct {
	pause  time.Duration
	signal string
}

func (i Intervals) steps() []step {
	if i.Check == 0 {
		return []step{{0, "HUP"}, {i.Grace, "TERM"}, {i.Grace, "KILL"}}
	}
	return []step{
		{0, "HUP"},
		{i.Check, "0"},
		{i.Grace - i.Check, "TERM"},
		{i.Check, "0"},
		{i.Grace - i.Check, "KILL"},
		{i.Check, "KILL"},
		{i.Check, "0"},
	}
}

// Run calls send with HUP, TERM and KILL. With i.Check, it also calls send with signal 0 in between, and sends KILL
// again. The pauses start when send returns, so that the program has its time even if a signal arrives late. Run
// returns nil when send reports that the program has exited, the error of send if there is one, the cause of ctx if
// that ends first, and ErrStillRunning otherwise.
func (i Intervals) Run(ctx context.Context, send func(signal string) (exited bool, err error)) error {
	for _, s := range i.steps() {
		select {
		case <-time.After(s.pause):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if exited, err := send(s.signal); exited || err != nil {
			return err
		}
	}
	return ErrStillRunning
}
