// Package ops tracks operations: work on a job, such as a restart, that continues after its session has ended. It
// owns the registry of operations, which allows one operation per job at a time, and the files of saved job
// definitions, which survive a crash of the gateway. It does not talk to clusters and does not check rights.
package ops

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"nomadctld/backends"
)

// Op is an operation. Its methods are safe for concurrent use.
type Op struct {
	ID      string
	Job     backends.JobRef
	User    string // login
	Command string // its words after alias expansion, redacted
	Started time.Time

	registry      *Registry
	finishOnce    sync.Once
	haltRequested chan struct{} // closed by Halt
	exiting       chan struct{} // closed by announceExit
	exitOnce      sync.Once

	mu         sync.Mutex // guards the fields below
	notes      []Note
	changed    chan struct{} // closed and replaced at each change
	onFinish   func(error)
	finishing  bool      // Finish has been called
	finishedAt time.Time // zero: still running
	err        error     // the result, valid if finishing is set
	haltReason error     // an ErrHalted; nil: not halted
}

// Note is a message of an operation. A transient note reports progress and is replaced by the next note.
type Note struct {
	Time      time.Time
	Text      string
	Transient bool
}

// maxNotes is the maximum number of notes of an operation.
const maxNotes = 10000

func (r *Registry) newOp(job backends.JobRef, user, command string) *Op {
	return &Op{
		ID: newID(), Job: job, User: user, Command: command, Started: time.Now(),
		registry: r, changed: make(chan struct{}), haltRequested: make(chan struct{}), exiting: make(chan struct{}),
	}
}

// Note adds a note that is not transient.
func (o *Op) Note(format string, args ...any) {
	o.add(Note{Time: time.Now(), Text: fmt.Sprintf(format, args...)})
}

// Progress adds a transient note.
func (o *Op) Progress(format string, args ...any) {
	o.add(Note{Time: time.Now(), Text: fmt.Sprintf(format, args...), Transient: true})
}

func (o *Op) add(n Note) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if last := len(o.notes) - 1; last >= 0 && o.notes[last].Transient {
		if n.Transient && n.Text == o.notes[last].Text {
			return
		}
		o.notes = o.notes[:last]
	}
	if len(o.notes) < maxNotes {
		o.notes = append(o.notes, n)
	}
	o.wake()
}

// wake wakes the followers. The caller holds o.mu.
func (o *Op) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// ErrHalted is the result of an operation that was halted.
var ErrHalted = errors.New("halted")

// haltError is an ErrHalted with the reason.
type haltError string

func (e haltError) Error() string        { return string(e) }
func (e haltError) Is(target error) bool { return target == ErrHalted }

// Halt requests that the operation stops after its current step. Only the first reason is recorded.
func (o *Op) Halt(reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.haltReason == nil && o.finishedAt.IsZero() {
		o.haltReason = haltError(reason)
		close(o.haltRequested)
		o.wake()
	}
}

// HaltRequested returns a channel that is closed when Halt is called.
func (o *Op) HaltRequested() <-chan struct{} { return o.haltRequested }

// Exiting returns a channel that is closed when the gateway is about to exit. A halted operation should then finish
// at once, and report what it has done so far.
func (o *Op) Exiting() <-chan struct{} { return o.exiting }

func (o *Op) announceExit() { o.exitOnce.Do(func() { close(o.exiting) }) }

// HaltReason returns an ErrHalted with the reason, or nil if the operation was not halted.
func (o *Op) HaltReason() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.haltReason
}

// OnFinish sets a function that Finish calls with the result before followers see it. If Finish has been called,
// OnFinish calls f at once. Only the code that starts the operation may call OnFinish.
func (o *Op) OnFinish(f func(error)) {
	o.mu.Lock()
	o.onFinish = f
	finishing, err := o.finishing, o.err
	o.mu.Unlock()
	if finishing {
		f(err)
	}
}

// Finish records the result of the operation. Only the first call has an effect.
func (o *Op) Finish(err error) {
	o.finishOnce.Do(func() {
		o.mu.Lock()
		onFinish := o.onFinish
		o.finishing, o.err = true, err
		o.mu.Unlock()
		if onFinish != nil { // without the lock, because onFinish may write to a slow disk
			onFinish(err)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.finishedAt = time.Now()
		o.wake()
	})
}

// Finished returns the time and the result of a finished operation, or the zero time if it is still running.
func (o *Op) Finished() (time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finishedAt.IsZero() {
		return o.finishedAt, nil
	}
	return o.finishedAt, o.err
}

// IsFinished reports whether the operation has finished.
func (o *Op) IsFinished() bool {
	at, _ := o.Finished()
	return !at.IsZero()
}

// LastNote returns the latest note.
func (o *Op) LastNote() Note {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.notes) == 0 {
		return Note{}
	}
	return o.notes[len(o.notes)-1]
}

// Follow calls each with the notes from the start until the operation has finished, and returns its result. If ctx
// is done first, Follow returns the cause.
func (o *Op) Follow(ctx context.Context, each func(Note) error) error {
	seen := 0 // notes that are not transient
	for {
		o.mu.Lock()
		notes := append([]Note(nil), o.notes[min(seen, len(o.notes)):]...)
		changed, finished, err := o.changed, !o.finishedAt.IsZero(), o.err
		o.mu.Unlock()
		for _, n := range notes {
			if !n.Transient {
				seen++
			}
			if err := each(n); err != nil {
				return err
			}
		}
		if finished {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
