// Package ops keeps track of work on a job that does not end with the session that began it, so that others can see it,
// end it, and do not begin the same twice; and it keeps the definitions of jobs that are stopped for the time being, on
// disk, so that no end of the gateway loses one.
package ops

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Job says which job something is about.
type Job struct {
	Tier      string `json:"tier"`
	Namespace string `json:"namespace"`
	ID        string `json:"id"`
	Root      string `json:"root"` // the job that decides whose it is
}

// Op is one piece of work, an operation. Its methods may be called at the same time.
type Op struct {
	ID      string
	Job     Job
	User    string // login
	Command string // the command line, as it was typed
	Started time.Time

	mu            sync.Mutex
	notes         []Note
	changed       chan struct{} // closed when there is something new
	once          sync.Once
	onFinish      func(error)
	finishing     bool      // End has been called, with err
	finishedAt    time.Time // zero: it goes on
	err           error     // how it ends or ended
	haltRequested chan struct{}
	haltReason    error // why it is to end
}

// Note is something that an operation tells. A Passing one says how far it is, and the next one makes it stale.
type Note struct {
	Time      time.Time
	Text      string
	Transient bool
}

// maxNotes is how many lasting notes are kept.
const maxNotes = 10000

func newOp(id string, job Job, user, command string) *Op {
	return &Op{
		ID: id, Job: job, User: user, Command: command, Started: time.Now(),
		changed: make(chan struct{}), haltRequested: make(chan struct{}),
	}
}

// Note tells something that lasts.
func (o *Op) Note(format string, args ...any) {
	o.add(Note{Time: time.Now(), Text: fmt.Sprintf(format, args...)})
}

// Progress tells how far it is.
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

// wake lets those who follow look again. o.mu is held.
func (o *Op) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// ErrHalted is how an operation ends that was asked to.
var ErrHalted = errors.New("halted")

// Halt asks the operation to end after what it is about to do. The first reason counts.
func (o *Op) Halt(why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.haltReason == nil && o.finishedAt.IsZero() {
		o.haltReason = fmt.Errorf("%w: %s", ErrHalted, why)
		close(o.haltRequested)
		o.wake()
	}
}

// HaltRequested is closed once Halt has been called.
func (o *Op) HaltRequested() <-chan struct{} { return o.haltRequested }

// HaltReason returns why the operation is to end, or nil. It is an ErrHalted.
func (o *Op) HaltReason() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.haltReason
}

// OnFinish lets f know how the operation ends, before anybody else does. If it has ended, f is called at once. It is for
// whoever begins the operation.
func (o *Op) OnFinish(f func(error)) {
	o.mu.Lock()
	o.onFinish = f
	ending, err := o.finishing, o.err
	o.mu.Unlock()
	if ending {
		f(err)
	}
}

// Finish says that the operation has ended, and how. Only the first time counts.
func (o *Op) Finish(err error) {
	o.once.Do(func() {
		o.mu.Lock()
		onEnd := o.onFinish
		o.finishing, o.err = true, err
		o.mu.Unlock()
		if onEnd != nil { // not under the lock: a slow disk must not hold up who looks
			onEnd(err)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.finishedAt = time.Now()
		o.wake()
	})
}

// Finished returns when and how the operation has ended; the zero time: it goes on.
func (o *Op) Finished() (time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finishedAt.IsZero() {
		return o.finishedAt, nil
	}
	return o.finishedAt, o.err
}

// Last returns the latest note.
func (o *Op) Last() Note {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.notes) == 0 {
		return Note{}
	}
	return o.notes[len(o.notes)-1]
}

// Follow gives each all notes from the beginning, until the operation has ended or ctx has. It returns how the operation
// ended, or the cause of ctx's end.
func (o *Op) Follow(ctx context.Context, each func(Note) error) error {
	seen := 0 // lasting notes
	for {
		o.mu.Lock()
		notes := append([]Note(nil), o.notes[min(seen, len(o.notes)):]...)
		moved, ended, err := o.changed, !o.finishedAt.IsZero(), o.err
		o.mu.Unlock()
		for _, n := range notes {
			if !n.Transient {
				seen++
			}
			if err := each(n); err != nil {
				return err
			}
		}
		if ended {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
