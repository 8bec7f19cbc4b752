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

	"nomadctld/backends"
)

// Registry holds the operations of a gateway, running and recently finished ones, and its saved job definitions. If a
// definition was saved for an operation that is not running, that operation did not restore its job.
type Registry struct {
	// Cluster returns an identifier of a tier's cluster. Tiers of the same cluster have the same identifier. If Cluster is
	// nil, each tier has its own cluster.
	Cluster func(tier string) string

	// OnEvict is called for each saved definition that Save removes to stay within the limit on their total size.
	OnEvict func(SavedDefinition)

	folder        string // for saved definitions; empty: none
	maxSavedBytes int    // limit on the total size of the definitions saved by Save

	saving sync.Mutex // held by Save, because concurrent calls would remove each other's definitions

	mu     sync.Mutex                 // guards the fields below
	keys   []Key                      // the first key signs definitions, and a signature by any key is accepted
	closed bool                       // no operation may start
	ops    []*Op                      // oldest first
	saved  map[string]SavedDefinition // by ID; those saved by Save have a nil Definition, to save memory
}

// maxOps is the number of operations above which Start removes finished ones.
const maxOps = 200

// BusyError is returned if another operation on the job is running.
type BusyError struct{ Other *Op }

func (e *BusyError) Error() string {
	o := e.Other
	return fmt.Sprintf("%s is busy: operation %s of %s has been running since %s: %s "+
		"(see: ops %s; cancel it: ops --cancel %s)",
		o.Job.ID, o.ID, o.User, o.Started.UTC().Format(time.TimeOnly+"Z"), o.Command, o.ID, o.ID)
}

// ErrClosed is returned for an operation that would start while the gateway is stopping.
var ErrClosed = errors.New("the gateway is stopping; nothing was done")

// Start adds a new operation. It returns a *BusyError if the job has a running operation.
func (r *Registry) Start(job backends.JobRef, user, command string) (*Op, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if err := r.busy(job); err != nil {
		return nil, err
	}
	r.trimFinished()
	o := r.newOp(job, user, command)
	r.ops = append(r.ops, o)
	return o, nil
}

// CheckNoOperation returns a *BusyError if a job has a running operation.
func (r *Registry) CheckNoOperation(job backends.JobRef) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busy(job)
}

// CheckNoPendingRestore returns a *BusyError if a job has a running operation that has saved the job's definition. That
// operation has stopped or changed the job, or is about to, and will restore it.
func (r *Registry) CheckNoPendingRestore(job backends.JobRef) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var busy *BusyError
	if err := r.busy(job); errors.As(err, &busy) {
		if _, saved := r.saved[busy.Other.ID]; saved {
			return err
		}
	}
	return nil
}

// busy implements CheckNoOperation. The caller holds r.mu.
func (r *Registry) busy(job backends.JobRef) error {
	for _, o := range r.ops {
		if ended, _ := o.Finished(); ended.IsZero() && r.SameJob(o.Job, job) {
			return &BusyError{o}
		}
	}
	return nil
}

// SameJob reports whether a and b are the same job, possibly reached through different tiers of a cluster.
func (r *Registry) SameJob(a, b backends.JobRef) bool {
	sameCluster := func() bool { return r.Cluster != nil && r.Cluster(a.Tier) == r.Cluster(b.Tier) }
	return a.ID == b.ID && a.Namespace == b.Namespace && (a.Tier == b.Tier || sameCluster())
}

// trimFinished removes the oldest finished operations if there are more than maxOps operations. The caller holds
// r.mu.
func (r *Registry) trimFinished() {
	surplus := len(r.ops) - maxOps
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

// Close halts all operations. No operation can start after that.
func (r *Registry) Close(reason string) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, o := range r.Ops() {
		o.Halt(reason)
	}
}

// ErrAbandoned is the result of an operation that was still running when the gateway exited.
var ErrAbandoned = errors.New("interrupted when the gateway stopped")

// exitGrace is the time that an operation has to finish before the gateway exits. It is longer than the time for which
// package nomad waits for the late response to a change, so that the report of a restart includes the last change.
const exitGrace = 6 * time.Second

// Wait waits until all operations have finished, after Close. When ctx is done, it interrupts the remaining ones. Those
// that do not finish soon after that get the result ErrAbandoned.
func (r *Registry) Wait(ctx context.Context) {
	all := r.Ops()
	waitForAll := func(ctx context.Context) {
		for _, o := range all {
			o.Follow(ctx, func(Note) error { return nil })
		}
	}
	waitForAll(ctx)
	for _, o := range all {
		o.announceExit()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exitGrace)
	defer cancel()
	waitForAll(ctx)
	for _, o := range all {
		err := ErrAbandoned
		if r.hasSaved(o.ID) {
			err = fmt.Errorf("%w; %s may be stopped or temporarily changed (restore it: ops --restore %s)", err, o.Job.ID, o.ID)
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

// Restorable returns the definitions saved by Op.SaveDefinition, oldest first.
func (r *Registry) Restorable() []SavedDefinition {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []SavedDefinition
	for _, s := range r.saved {
		if s.Kind == "" {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b SavedDefinition) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID))
	})
	return all
}

func newID() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
