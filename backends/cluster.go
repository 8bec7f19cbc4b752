package backends

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Cluster reads the tiers that a user can reach. If several tiers are read, a tier that fails adds a *TierError, and
// the results of the others are returned together with the joined errors.
type Cluster interface {
	// Jobs returns the selected jobs, sorted by ID, tier and namespace. For each namespace that cannot be read, the
	// error holds a *NamespaceError; the jobs of the other namespaces are returned.
	Jobs(ctx context.Context, s Selection) ([]Job, error)

	// Job returns the full state of a job that Jobs has returned. ErrNotFound: the job has been purged
	// since then.
	Job(ctx context.Context, job Job) (JobDetail, error)

	// Schedules returns one Schedule for each job, in the order of jobs. For a namespace that cannot be read, the error
	// holds a *NamespaceError and its Schedules are empty. After another error, any Schedule may be empty.
	Schedules(ctx context.Context, jobs []Job) ([]Schedule, error)

	// Definition returns the job's JSON exactly as Nomad returns it: the given version, or the current one if version
	// is nil. ErrNotFound: the job does not exist. If only the version does not exist, the error lists those that Nomad
	// has.
	Definition(ctx context.Context, job Job, version *uint64) (json.RawMessage, error)

	// Versions returns the versions of a job that Nomad retains, newest first, each with its changes.
	Versions(ctx context.Context, job Job) ([]Version, error)

	// Deployments returns a job's deployments, newest first.
	Deployments(ctx context.Context, job Job) ([]Deployment, error)

	// Allocation returns details that are missing in lists. ErrNotFound: Nomad has garbage-collected the allocation.
	Allocation(ctx context.Context, a Allocation) (AllocationDetail, error)

	// Checks returns the service check results of the running allocations, by allocation ID. Like Usage, it is best
	// effort.
	Checks(ctx context.Context, allocations []Allocation) map[string][]Check

	// NodeStates returns the states of the allocations' nodes, by node ID. It is best effort: it is empty if the
	// gateway's token may not read nodes.
	NodeStates(ctx context.Context, allocations []Allocation) map[string]NodeState

	// NodeAddress returns the IP address of the allocation's node.
	NodeAddress(ctx context.Context, a Allocation) (string, error)

	// Usage returns the resource usage of the running tasks, by exec ID. It is best effort: tasks whose node does not
	// respond before the context ends are missing.
	Usage(ctx context.Context, allocations []Allocation) map[string]Usage
}

// Selection selects jobs and allocations. The zero value selects every job of every tier, with its running, pending,
// failed and unknown allocations.
type Selection struct {
	Tier          string   // empty: every tier
	Namespace     string   // empty: every namespace
	Prefixes      []string // of job IDs; nil: all. Set by the scope, never by a command
	IncludeHidden bool     // also return complete and lost allocations
}

// Errors of every call to a cluster. ErrForbidden: the gateway's token is rejected or may not do this.
var (
	ErrNotFound    = errors.New("not found in Nomad")
	ErrForbidden   = errors.New("Nomad rejected the gateway's token")
	ErrUnreachable = errors.New("no response")
)

// NamespaceError reports that the gateway's token may not read a namespace. The results from the tier's other
// namespaces are returned together with it.
type NamespaceError struct {
	Namespace string
	Err       error // an ErrForbidden
}

func (e *NamespaceError) Error() string {
	return fmt.Sprintf("namespace %s is not shown: %v", e.Namespace, e.Err)
}
func (e *NamespaceError) Unwrap() error { return e.Err }

// TierError is a failure of one tier.
type TierError struct {
	Tier string
	Err  error
}

func (e *TierError) Error() string { return fmt.Sprintf("tier %s: %v", e.Tier, e.Err) }
func (e *TierError) Unwrap() error { return e.Err }
