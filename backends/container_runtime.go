package backends

import (
	"context"
	"encoding/json"
)

// ContainerRuntime is a Runtime that connects to a daemon on each node, such as Docker. A node's daemon may be down
// while Nomad is not, so another Runtime is used instead if there is one.
type ContainerRuntime interface {
	Runtime

	// Inspect returns the runtime's JSON for the newest container of a task, running or stopped, byte for byte. It also
	// serves to check that the node's daemon responds. Errors: ErrUnreachable, ErrDeclined, or that the node has no
	// container of the task.
	Inspect(ctx context.Context, node Node, task, allocation string) (json.RawMessage, error)

	// NeedsAddress reports whether Node.Address must be set.
	NeedsAddress() bool
}

// Node is a machine of a cluster.
type Node struct{ Name, Address string }
