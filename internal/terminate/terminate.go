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
	Grace time.Duration // from HUP to TERM, and from TERM to KILL
	Check time.Duration // from a signal to a check whether the program has exited; 0: Run does not check
}

// Default is for programs in tasks.
var Default = Intervals{Grace: 3 * time.Second, Check: time.Second}

// ErrStillRunning reports a program that has not exited after the last step.
var ErrStillRunning = errors.New("the program is still running")

// step is a signal, and the time when it is sent. Signal 0 only checks whether the program is running.
type step struct {
	after  time.Duration
	signal string
}

func (i Intervals) steps() []step {
	term, kill := i.Grace, 2*i.Grace
	if i.Check == 0 {
		return []step{{0, "HUP"}, {term, "TERM"}, {kill, "KILL"}}
	}
	return []step{
		{0, "HUP"},
		{i.Check, "0"},
		{term, "TERM"},
		{term + i.Check, "0"},
		{kill, "KILL"},
		{kill + i.Check, "KILL"},
		{kill + 2*i.Check, "0"},
	}
}

// Run calls send with HUP, TERM and KILL, each at its time. With i.Check, it also calls send with signal 0 in between,
// and sends KILL again. It returns nil when send reports that the program has exited, the error of send if there is
// one, the cause of ctx if that ends first, and ErrStillRunning otherwise.
func (i Intervals) Run(ctx context.Context, send func(signal string) (exited bool, err error)) error {
	start := time.Now()
	for _, s := range i.steps() {
		select {
		case <-time.After(time.Until(start.Add(s.after))):
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
