package nomad

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
)

// Log reads the files in which Nomad keeps what a task wrote. It needs no more than the capability read-logs. Their end
// cannot be told from a pause, so a followed log goes on until ctx ends.
func (c *Client) Log(ctx context.Context, in backends.TaskRef, q backends.LogQuery, each func(backends.LogChunk) error) error {
	if q.NeedsContainer() {
		return fmt.Errorf("%w: Nomad's files hold none", backends.ErrNoTimestamps)
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
	client, err := c.conns.logClient()
	if err != nil {
		return err
	}
	need := min(len(kinds), 1)
	if q.Follow {
		need = len(kinds)
	}
	leave, err := c.conns.logSlots.Acquire(ctx, need)
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
		r := logReader{c: c, client: client, task: in, kind: kind, follow: q.Follow}
		pass := func(p backends.LogChunk) error {
			mu.Lock()
			defer mu.Unlock()
			if ctx2.Err() != nil {
				return context.Cause(ctx2)
			}
			return each(p)
		}
		whole := lineBuffer{emit: func(data []byte) error {
			return pass(backends.LogChunk{Stderr: kind == "stderr", Data: data, Unordered: true})
		}}
		r.emit, r.onIdle = whole.emit, func() error { return nil }
		if len(kinds) > 1 {
			r.emit, r.onIdle = whole.write, whole.flush
		}
		r.onStart = func(s logSection) error { return noteRotated(kind, q, s, pass) }
		r.onGap = func() error {
			if err := whole.flush(); err != nil { // what follows does not continue that line
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			return each(backends.LogChunk{Stderr: kind == "stderr", Lost: true})
		}
		r.onCaughtUp = func() error {
			if err := whole.flush(); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if behind--; behind > 0 || !q.Follow {
				return nil
			}
			return each(backends.LogChunk{CaughtUp: true})
		}
		group.Go(func() error {
			return backends.Protect(func() error {
				err := r.read(ctx2, q.Lines)
				return cmp.Or(err, whole.flush())
			})
		})
	}
	err = group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// lineBuffer passes on whole lines where both outputs of a task go to one reader, so that the line of one does not end up
// within that of the other. What has no end yet is passed on when the task pauses.
type lineBuffer struct {
	emit     func([]byte) error
	buffered []byte
}

func (w *lineBuffer) write(data []byte) error {
	end := bytes.LastIndexByte(data, '\n') + 1
	if end == 0 && len(w.buffered)+len(data) > frameSize {
		end = len(data)
	}
	if end > 0 {
		text := data[:end]
		if len(w.buffered) > 0 {
			text = append(w.buffered, text...)
			w.buffered = nil
		}
		if err := w.emit(text); err != nil {
			return err
		}
	}
	w.buffered = append(w.buffered, data[end:]...)
	return nil
}

func (w *lineBuffer) flush() error {
	if len(w.buffered) == 0 {
		return nil
	}
	text := w.buffered
	w.buffered = nil
	return w.emit(text)
}
