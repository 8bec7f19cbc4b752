package nomad

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
)

// Log reads the files in which Nomad keeps what a task wrote. It needs no more than the capability read-logs. Their end
// cannot be told from a pause, so a followed log goes on until ctx ends.
func (c *Client) Log(ctx context.Context, in backends.Place, q backends.LogQuery, each func(backends.Piece) error) error {
	if q.OfContainers() {
		return fmt.Errorf("%w: Nomad's files hold none", backends.ErrNoTimes)
	}
	if _, err := c.query(ctx, ""); err != nil {
		return err
	}
	var kinds []string
	if q.Stdout {
		kinds = append(kinds, "stdout")
	}
	if q.Stderr {
		kinds = append(kinds, "stderr")
	}
	client, err := c.streams.logClient()
	if err != nil {
		return err
	}
	need := min(len(kinds), 1)
	if q.Follow {
		need = len(kinds)
	}
	leave, err := c.streams.reading.Take(ctx, need)
	if err != nil {
		return err
	}
	defer leave()
	var mu sync.Mutex
	behind := len(kinds) // those of which something that there was is still to come
	group, ctx2 := errgroup.WithContext(ctx)
	if !q.Follow {
		group.SetLimit(1) // stdout first
	}
	for _, kind := range kinds {
		r := reader{c: c, client: client, in: in, kind: kind, follow: q.Follow}
		r.each = func(data []byte) error {
			mu.Lock()
			defer mu.Unlock()
			if ctx2.Err() != nil {
				return context.Cause(ctx2)
			}
			return each(backends.Piece{Stderr: kind == "stderr", Data: data})
		}
		r.gone = func() error {
			mu.Lock()
			defer mu.Unlock()
			return each(backends.Piece{Stderr: kind == "stderr", Gone: true})
		}
		r.live = func() error {
			mu.Lock()
			defer mu.Unlock()
			if behind--; behind > 0 || !q.Follow {
				return nil
			}
			return each(backends.Piece{Live: true})
		}
		group.Go(func() error {
			return backends.Protect(func() error { return r.read(ctx2, q.Lines) })
		})
	}
	err = group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
