package backends

import (
	"context"
	"encoding/json"
)

// ContainerRuntime is the container runtime of all nodes, such as Docker.
type ContainerRuntime interface {
	Runtime

	// Inspect returns the runtime's JSON for the newest container of a task, running or stopped, byte for byte.
	// Errors: ErrUnreachable, or that the node has no container of the task.
	Inspect(ctx context.Context, node Node, task, allocation string) (json.RawMessage, error)

	// NeedsAddress reports whether Node.Address must be set.
	NeedsAddress() bool
}

// Node is a machine of a cluster.
type Node struct{ Name, Address string }
