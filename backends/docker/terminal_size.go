package docker

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"nomadctld/backends"
)

const (
	resizeRetryInterval    = 5 * time.Millisecond // the process may not exist yet
	maxResizeRetryInterval = 200 * time.Millisecond
	maxResizeTries         = 40
)

// followSize sets the terminal at path to the size of the user's terminal until ctx ends.
func (c *apiClient) followSize(ctx context.Context, path string, terminal backends.Terminal) {
	changed := terminal.Resized()
	for {
		c.resize(ctx, path, terminal)
		select {
		case _, more := <-changed:
			if !more {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// resize sends the current size of terminal. It retries, because the process may not exist yet.
func (c *apiClient) resize(ctx context.Context, path string, terminal backends.Terminal) {
	pause := resizeRetryInterval
	for range maxResizeTries {
		columns, rows := terminal.Size()
		if columns <= 0 || rows <= 0 {
			return
		}
		response, err := c.request(ctx, http.MethodPost, path+"?h="+strconv.Itoa(rows)+"&w="+strconv.Itoa(columns))
		if err == nil {
			response.Body.Close()
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxResizeRetryInterval)
	}
}
