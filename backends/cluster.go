package backends

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Cluster is what a command may ask of the tiers a user can reach. A failure of one tier is a *TierError; where
// several tiers are asked, what the others answered comes along with the joined errors.
type Cluster interface {
	// Jobs returns the jobs that s selects, by ID, then tier, then namespace. Of namespaces that cannot be read there is a
	// *NamespaceError each, and the jobs of the others.
	Jobs(ctx context.Context, s Selection) ([]Job, error)

	// Job returns the whole state of a job that Jobs has returned. ErrNotFound: it has been purged since.
	Job(ctx context.Context, job Job) (JobDetail, error)

	// Schedules returns when the periodic and parameterized ones among the jobs launch, in the order of jobs; what could be read
	// of them comes along with an error.
	Schedules(ctx context.Context, jobs []Job) ([]Schedule, error)

	// Definition returns the job as Nomad stores it, in JSON, byte for byte: the version given, or the current one.
	// ErrNotFound: there is none.
	Definition(ctx context.Context, job Job, version *uint64) (json.RawMessage, error)

	// Versions returns the versions of a job that Nomad keeps, newest first, each with what it changed.
	Versions(ctx context.Context, job Job) ([]Version, error)

	// Deployments returns a job's deployments, newest first.
	Deployments(ctx context.Context, job Job) ([]Deployment, error)

	// Allocation returns what only the whole allocation tells. ErrNotFound: Nomad has forgotten it.
	Allocation(ctx context.Context, a Allocation) (AllocationDetail, error)

	// Checks returns the results of the running allocations' service checks, by allocation ID. It is best effort as
	// Usage is.
	Checks(ctx context.Context, allocations []Allocation) map[string][]Check

	// NodeAddress returns the IP address of the allocation's node.
	NodeAddress(ctx context.Context, a Allocation) (string, error)

	// Usage returns what the running tasks of the allocations use, by exec ID. It is best effort: what does not
	// answer before the context ends, or at all, is missing.
	Usage(ctx context.Context, allocations []Allocation) map[string]Usage
}

// Selection says which jobs and allocations are wanted. The zero value is every job of every tier with its
// running, pending, failed and unknown allocations.
type Selection struct {
	Tier          string   // empty: every tier
	Namespace     string   // empty: every namespace
	Prefixes      []string // of job IDs; nil: all. Set by the scope, never by a command
	IncludeHidden bool     // complete and lost allocations too
}

// ErrForbidden is a token that Nomad refused; ErrUnreachable a cluster that gave no answer; ErrNotFound what is not there
// any more.
var (
	ErrNotFound    = errors.New("it is not there any more")
	ErrForbidden   = errors.New("the gateway's token is refused")
	ErrUnreachable = errors.New("no answer")
)

// NamespaceError is a namespace that the gateway's token may not read. What the others of the tier hold comes along with it.
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
