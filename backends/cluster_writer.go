package backends

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ClusterWriter changes jobs. Each method returns when Nomad has accepted the change, not when the change is complete.
// RestartTask returns when the task has stopped, SignalTask when the signal was sent. Requests that were certainly not
// applied are retried for a while.
//
// Errors: ErrNotFound, if the job or allocation does not exist any more. *ChangedError, if the job has been changed
// since it was read. *MissingCapabilityError, if the gateway's token lacks a capability. *RejectedError, with Nomad's
// reason. ErrOutcomeUnknown, if Nomad's response was lost. ErrUnreachable, if Nomad or the node cannot be reached. The
// cause of ctx, if ctx is done first.
type ClusterWriter interface {
	// Stop deregisters a job. With purge, Nomad deletes it.
	Stop(ctx context.Context, job Job, purge bool) (WriteResult, error)

	// CheckRegister returns an error if Nomad would reject the definition, because of the token or for another
	// reason. It changes nothing. It covers every check that Nomad makes before it compares the job's index.
	// ErrNotFound: the job does not exist.
	CheckRegister(ctx context.Context, job Job, definition json.RawMessage) error

	// Register registers a definition, as returned by Definition, as the newest version of its job, and starts the job.
	// The job must have the given index, or not exist if the index is 0. If the response is lost, Register reads the job
	// to find out whether the change was applied.
	Register(ctx context.Context, job Job, definition json.RawMessage, index uint64) (WriteResult, error)

	// Scale sets the count of a group.
	Scale(ctx context.Context, job Job, group string, count int) (WriteResult, error)

	// StopAllocation stops an allocation. Nomad replaces it, unless it belongs to a system or sysbatch job.
	StopAllocation(ctx context.Context, a Allocation) (WriteResult, error)

	// RestartTask restarts a running task of an allocation in place, or all its tasks if task is empty.
	RestartTask(ctx context.Context, a Allocation, task string) error

	// SignalTask sends one of TaskSignals to a running task of an allocation.
	SignalTask(ctx context.Context, a Allocation, task, signal string) error

	// These four change a deployment of the job.
	PromoteDeployment(ctx context.Context, job Job, deploymentID string) (WriteResult, error)
	FailDeployment(ctx context.Context, job Job, deploymentID string) (WriteResult, error)
	PauseDeployment(ctx context.Context, job Job, deploymentID string) (WriteResult, error)
	ResumeDeployment(ctx context.Context, job Job, deploymentID string) (WriteResult, error)

	// Revert makes an earlier version of a job the newest one.
	Revert(ctx context.Context, job Job, version uint64) (WriteResult, error)

	// Evaluate creates an evaluation of the job. Nomad then replaces failed allocations of groups that may be
	// rescheduled, without their reschedule delay. In system jobs, it replaces stopped and failed allocations.
	Evaluate(ctx context.Context, job Job) (WriteResult, error)

	// Force runs a periodic job now.
	Force(ctx context.Context, job Job) (WriteResult, error)

	// Dispatch runs a parameterized job.
	Dispatch(ctx context.Context, job Job, meta map[string]string, payload []byte) (WriteResult, error)
}

// TaskSignals are the signals that Nomad's drivers support. For other names, some drivers silently send SIGINT.
var TaskSignals = []string{
	"SIGABRT", "SIGALRM", "SIGBUS", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGIO", "SIGIOT", "SIGKILL",
	"SIGPIPE", "SIGPROF", "SIGQUIT", "SIGSEGV", "SIGSTOP", "SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN",
	"SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGXCPU", "SIGXFSZ",
}

// WriteResult is Nomad's response to a change. Fields that a change does not have are empty.
type WriteResult struct {
	EvaluationID string
	DeploymentID string
	ChildID      string   // the child job of Force or Dispatch, if Nomad returns it
	ModifyIndex  uint64   // the job's JobModifyIndex after the change, even if nothing changed; 0: not returned
	Warnings     []string // from Nomad, one line each; may be untrusted
}

// Version is one version of a job.
type Version struct {
	Number      uint64
	Stable      bool // a deployment of it succeeded
	Stopped     bool // it was created by stopping the job
	Submitted   time.Time
	Tag         string   // its name; empty: none
	CreateIndex uint64   // distinguishes the job from an earlier one with the same ID
	Release     Release  // see ReleaseOf
	Changes     []Change // since the version before; nil for the oldest that Nomad retains

	Definition json.RawMessage // as Nomad stores it
}

// Change is one field that differs between two versions.
type Change struct {
	Path     string // "web > task nginx > Config > image"
	Old, New string // Old is empty for an added field, New for a removed one
}

// ChangedError reports that a job has been changed since it was read. The request was not applied, unless an error that
// wraps the ChangedError states that it may have been.
type ChangedError struct {
	Job     string
	Version uint64 // the current one
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s was changed by somebody else and is now at version %d", e.Job, e.Version)
}

// MissingCapabilityError reports that the gateway's token lacks a capability in a namespace or, if Namespace is
// empty, a rule of its policy. It is an ErrForbidden.
type MissingCapabilityError struct {
	Capability string
	Coarser    string // the capability that includes it; before Nomad 1.11.2, only this one exists; empty: none
	Namespace  string
}

func (e *MissingCapabilityError) Error() string {
	if e.Namespace == "" {
		return fmt.Sprintf("the gateway's token lacks the rule %s; tell the gateway's operator", e.Capability)
	}
	capability := strconv.Quote(e.Capability)
	if e.Coarser != "" {
		capability += fmt.Sprintf(" (%q before Nomad 1.11.2)", e.Coarser)
	}
	return fmt.Sprintf("the gateway's token lacks the capability %s in namespace %s; tell the gateway's operator",
		capability, e.Namespace)
}
func (e *MissingCapabilityError) Unwrap() error { return ErrForbidden }

// RejectedError is a change that Nomad rejected, with Nomad's reason.
type RejectedError struct{ Reason string }

func (e *RejectedError) Error() string { return "Nomad rejected the request: " + e.Reason }

// ErrOutcomeUnknown reports that Nomad's response to a change was lost.
var ErrOutcomeUnknown = errors.New("lost Nomad's response: the change may or may not have been applied; " +
	"check the job before retrying")
