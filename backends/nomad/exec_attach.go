package nomad

import (
	"context"
	"fmt"

	"nomadctld/backends"
)

// Attach is not possible: Nomad has nothing that leads to the main process of a task.
func (c *Client) Attach(context.Context, backends.TaskRef, backends.Attachment) (int, error) {
	return 0, fmt.Errorf("attach %w through Nomad: it needs Docker", backends.ErrUnsupported)
}
