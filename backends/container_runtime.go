package backends

import (
	"context"
	"encoding/json"
)

// ContainerRuntime is the container runtime of all nodes.
type ContainerRuntime interface {
	Runtime

	// Inspect returns the newest container of a task as the runtime gives it, byte for byte, stopped ones included.
	Inspect(ctx context.Context, node Node, task, allocation string) (json.RawMessage, error)

	// NeedsAddress reports whether Node.Address has to be known.
	NeedsAddress() bool
}

// Node is a machine of a cluster.
type Node struct{ Name, Address string }
