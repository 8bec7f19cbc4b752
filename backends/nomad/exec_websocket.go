package nomad

import (
	"context"
	"io"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// execRequest is a command that Nomad runs over a websocket of its own.
type execRequest struct {
	command        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool
	sizes          <-chan api.TerminalSize
}

// execWebsocket runs a command and returns the exit code that Nomad tells. When ctx ends, the connection is cut, also while it
// is being made, and it returns. The place of a stream is the caller's.
func (c *Client) execWebsocket(ctx context.Context, in backends.TaskRef, s execRequest) (int, error) {
	q, err := c.query(ctx, in.Allocation.Namespace)
	if err != nil {
		return 0, err
	}
	client, link, err := c.conns.websocketClient()
	if err != nil {
		return 0, err
	}
	defer link.close()
	stop := context.AfterFunc(ctx, link.close)
	defer stop()
	// Without the node's ID the library cannot know it.
	code, err := client.Allocations().Exec(ctx, &api.Allocation{ID: in.Allocation.ID}, in.Task, s.terminal, s.command,
		s.stdin, s.stdout, s.stderr, s.sizes, q)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return code, err
}
