package nomad

import (
	"context"
	"fmt"

	"nomadctld/backends"
)

// Attach fails: Nomad's API has no access to the main process of a task.
func (c *Client) Attach(context.Context, backends.TaskRef, backends.Attachment) (int, error) {
	return 0, fmt.Errorf("attach: %w through Nomad (needs Docker; to read the output: tail)", backends.ErrUnsupported)
}
