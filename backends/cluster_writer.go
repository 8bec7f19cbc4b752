package backends

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ClusterWriter change jobs. Each returns when Nomad has taken the order, not when it is carried out. What Nomad certainly
// has not taken, because it had no leader, is tried again for a while. ErrNotFound: the job or allocation is not there any
// more. *ChangedError: somebody else has changed the job since it was looked up; nothing was done. *MissingCapabilityError: the
// gateway's token is too weak. *RejectedError: Nomad says why not.
type ClusterWriter interface {
	// Stop deregisters a job; with purge Nomad forgets it.
	Stop(ctx context.Context, job Job, purge bool) (WriteResult, error)

	// CheckRegister returns an error if Nomad would refuse to register a definition, for whatever the token lacks or the
	// servers do not allow just now, as far as it tells without taking it.
	CheckRegister(ctx context.Context, job Job, definition json.RawMessage) error

	// Register makes a definition, as Definition returns it, the newest version of its job, running. The job must have
	// the index given, or not exist if that is 0. When it cannot be known whether Nomad took it, it is looked up.
	Register(ctx context.Context, job Job, definition json.RawMessage, index uint64) (WriteResult, error)

	// Scale sets how many allocations a group is to have.
	Scale(ctx context.Context, job Job, group string, count int) (WriteResult, error)

	// StopAllocation stops an allocation; Nomad replaces it, unless it is of a system job.
	StopAllocation(ctx context.Context, a Allocation) (WriteResult, error)

	// RestartTask restarts a running task of an allocation where it is; all of them if task is empty.
	RestartTask(ctx context.Context, a Allocation, task string) error

	// SignalTask sends a signal, such as SIGHUP, to a running task of an allocation.
	SignalTask(ctx context.Context, a Allocation, task, signal string) error

	// Promote lets the canaries of a deployment take over, Fail ends it, Pause and Resume hold it up.
	Promote(ctx context.Context, job Job, deployment string) (WriteResult, error)
	Fail(ctx context.Context, job Job, deployment string) (WriteResult, error)
	Pause(ctx context.Context, job Job, deployment string) (WriteResult, error)
	Resume(ctx context.Context, job Job, deployment string) (WriteResult, error)

	// Revert makes an earlier version of a job the newest one.
	Revert(ctx context.Context, job Job, version uint64) (WriteResult, error)

	// Evaluate lets Nomad look at a job again now. It replaces failed allocations of groups that may be rescheduled,
	// whatever they have to wait for, and allocations of a system job that were stopped or have failed.
	Evaluate(ctx context.Context, job Job) (WriteResult, error)

	// Force launches a periodic job now.
	Force(ctx context.Context, job Job) (WriteResult, error)

	// Dispatch launches a parameterized job.
	Dispatch(ctx context.Context, job Job, meta map[string]string, payload []byte) (WriteResult, error)
}

// WriteResult is what Nomad made of an order. What an operation has not is empty.
type WriteResult struct {
	EvaluationID string // ID
	DeploymentID string // ID
	ChildID      string // ID of the job that was launched, where Nomad tells
	ModifyIndex  uint64 // the job's Index from now on; 0: as it was, or not told
	Warnings     string // Nomad's; may hold several lines
}

// Version is one version of a job.
type Version struct {
	Number      uint64
	Stable      bool // a deployment of it succeeded
	Stopped     bool // it is the version that stopping the job made
	Submitted   time.Time
	Tag         string   // its name; empty: none
	CreateIndex uint64   // Nomad's CreateIndex: tells the job from an earlier one of the same name
	Release     Release  // what it asks for
	Changes     []Change // from the version before; nil for the oldest that is kept

	Definition json.RawMessage // as Nomad stores it
}

// Change is one field that differs between two versions.
type Change struct {
	Path     string // "web > task nginx > Config > image"
	Old, New string // Old is empty for what was added, New for what was removed
}

// ChangedError is a job that is not any more what it was when it was looked up.
type ChangedError struct {
	Job     string
	Version uint64 // that it has now
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s was changed by somebody else meanwhile, to version %d; nothing was done (see: history %s)", e.Job, e.Version, e.Job)
}

// MissingCapabilityError is something for which the gateway's token lacks a capability in a namespace, or, without one, a rule of
// its policy. It is an ErrForbidden.
type MissingCapabilityError struct{ Capability, Namespace string }

func (e *MissingCapabilityError) Error() string {
	if e.Namespace == "" {
		return fmt.Sprintf("the gateway's token may not do this: its policy lacks %s; tell the gateway's operator", e.Capability)
	}
	return fmt.Sprintf("the gateway's token may not do this: its policy lacks %q in namespace %s; tell the gateway's operator", e.Capability, e.Namespace)
}
func (e *MissingCapabilityError) Unwrap() error { return ErrForbidden }

// RejectedError is an order that Nomad refuses, in its words.
type RejectedError struct{ Reason string }

func (e *RejectedError) Error() string { return "Nomad refuses: " + e.Reason }

// ErrOutcomeUnknown is an order of which nobody knows whether Nomad has taken it, because the answer was lost.
var ErrOutcomeUnknown = errors.New("it is not known whether Nomad has taken this: its answer was lost; look before you try again")
