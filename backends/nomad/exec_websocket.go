package nomad

import (
	"context"
	"io"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// execRequest is a command to run over its own websocket.
type execRequest struct {
	command        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool
	sizes          <-chan api.TerminalSize
}

// execWebsocket runs a command and returns the exit code that Nomad reports. When ctx ends, it closes the connection
// and returns. The caller must hold a slot for the connection.
func (c *Client) execWebsocket(ctx context.Context, in backends.TaskRef, r execRequest) (int, error) {
	q, err := c.queryOptions(ctx, in.Allocation.Namespace)
	if err != nil {
		return 0, err
	}
	client, conn, err := c.conns.websocketClient()
	if err != nil {
		return 0, err
	}
	defer conn.close()
	stop := context.AfterFunc(ctx, conn.close)
	defer stop()
	// The node ID is missing on purpose: the library must not dial the node itself. See refuseLookups.
	code, err := client.Allocations().Exec(ctx, &api.Allocation{ID: in.Allocation.ID}, in.Task, r.terminal, r.command,
		r.stdin, r.stdout, r.stderr, r.sizes, q)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return code, err
}
