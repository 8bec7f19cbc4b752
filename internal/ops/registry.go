package ops

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Registry knows the operations of a gateway: those that go on, those that ended lately, and those of which only a kept
// definition tells because the gateway ended before they did.
type Registry struct {
	// Cluster returns what tells the clusters of two tiers apart; nil: each tier has one of its own.
	Cluster func(tier string) string

	// OnEvict is called for each saved definition that Save removes to stay within the limit on their total size.
	OnEvict func(SavedJob)

	folder        string // of the kept definitions; empty: none
	keys          []Key  // of the kept definitions: the first one signs, and any of them is accepted
	maxSavedBytes int    // bytes of all saved definitions together

	saving sync.Mutex // held by Save: two at the same time would each remove what the other has saved

	mu     sync.Mutex
	closed bool
	ops    []*Op               // oldest first
	saved  map[string]SavedJob // a saved one without its definition: there may be many
}

// maxFinished is how many operations are remembered after their end.
const maxFinished = 200

// BusyError is an operation on a job that another one is about already.
type BusyError struct{ Other *Op }

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is being worked on already, since %s by %s (operation %s): %s (see: ops %s; end it: ops %s --cancel)",
		e.Other.Job.ID, e.Other.Started.UTC().Format(time.TimeOnly+"Z"), e.Other.User, e.Other.ID, e.Other.Command, e.Other.ID, e.Other.ID)
}

// ErrClosed is an operation that begins when the gateway is about to end.
var ErrClosed = errors.New("the gateway is being stopped; nothing was done")

// Start enters an operation. One on a job that has one is a *BusyError.
func (r *Registry) Start(job Job, user, command string) (*Op, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if err := r.busy(job); err != nil {
		return nil, err
	}
	r.trimFinished()
	o := newOp(newID(), job, user, command)
	r.ops = append(r.ops, o)
	return o, nil
}

// Busy returns a *BusyError if there is an operation on a job.
func (r *Registry) Busy(job Job) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busy(job)
}

// RestorePending returns a *BusyError if there is an operation on a job that has stopped it, or is about to, and will bring it back.
func (r *Registry) RestorePending(job Job) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var busy *BusyError
	if err := r.busy(job); errors.As(err, &busy) {
		if _, keeps := r.saved[busy.Other.ID]; keeps {
			return err
		}
	}
	return nil
}

// busy is Busy. r.mu is held.
func (r *Registry) busy(job Job) error {
	for _, o := range r.ops {
		if ended, _ := o.Finished(); ended.IsZero() && r.SameJob(o.Job, job) {
			return &BusyError{o}
		}
	}
	return nil
}

// SameJob reports whether two jobs are one, which may be reached through several tiers.
func (r *Registry) SameJob(a, b Job) bool {
	return a.ID == b.ID && a.Namespace == b.Namespace && (a.Tier == b.Tier || r.Cluster != nil && r.Cluster(a.Tier) == r.Cluster(b.Tier))
}

// trimFinished drops the oldest of those that have ended, when there are many. r.mu is held.
func (r *Registry) trimFinished() {
	surplus := len(r.ops) - maxFinished
	r.ops = slices.DeleteFunc(r.ops, func(o *Op) bool {
		ended, _ := o.Finished()
		if surplus <= 0 || ended.IsZero() {
			return false
		}
		surplus--
		return true
	})
}

// Ops returns the operations, oldest first.
func (r *Registry) Ops() []*Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ops)
}

// Close asks all that go on to end, and lets no other begin.
func (r *Registry) Close(why string) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, o := range r.Ops() {
		o.Halt(why)
	}
}

// ErrAbandoned is how an operation ends that goes on when its gateway does not any more.
var ErrAbandoned = errors.New("interrupted by the end of the gateway")

// Wait returns when no operation goes on any more. Those that do when ctx ends are ended as abandoned.
func (r *Registry) Wait(ctx context.Context) {
	for _, o := range r.Ops() {
		o.Follow(ctx, func(Note) error { return nil })
		err := ErrAbandoned
		if r.hasSaved(o.ID) {
			err = fmt.Errorf("%w; %s may be stopped or temporarily changed: bring it back with: ops %s --restore", err, o.Job.ID, o.ID)
		}
		o.Finish(err)
	}
}

func (r *Registry) hasSaved(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.saved[id]
	return ok
}

// Restorable returns the definitions that operations have kept, oldest first.
func (r *Registry) Restorable() []SavedJob {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []SavedJob
	for _, k := range r.saved {
		if k.Kind == "" {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b SavedJob) int { return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID)) })
	return all
}

func newID() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
