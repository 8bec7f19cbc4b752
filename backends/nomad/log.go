package nomad

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// Log reads Nomad's log files. It needs only the capability read-logs. It cannot distinguish the end of a log from a
// pause, so a followed log continues until ctx ends.
func (c *Client) Log(
	ctx context.Context, in backends.TaskRef, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	if q.NeedsContainer() {
		return fmt.Errorf("%w (Nomad's log files store none)", backends.ErrNoTimestamps)
	}
	// Fail before taking a slot if the token cannot be read.
	if _, err := c.queryOptions(ctx, ""); err != nil {
		return err
	}
	var selected []string
	if q.Stdout {
		selected = append(selected, "stdout")
	}
	if q.Stderr {
		selected = append(selected, "stderr")
	}
	client, err := c.conns.logClient()
	if err != nil {
		return err
	}
	slots := min(len(selected), 1)
	if q.Follow {
		slots = len(selected)
	}
	release, err := c.conns.logSlots.Acquire(ctx, slots)
	if err != nil {
		return err
	}
	defer release()
	var mu sync.Mutex       // serializes calls of each
	behind := len(selected) // logs that have not caught up; guarded by mu
	var readers []*logReader
	for _, output := range selected {
		readers = append(readers, &logReader{c: c, client: client, task: in, output: output, follow: q.Follow})
	}
	err = eachReader(ctx, readers, func(ctx context.Context, r *logReader) error { return r.find(ctx, q.Lines) })
	if err != nil {
		return err
	}
	shareLines(q.Lines, readers)
	return eachReader(ctx, readers, func(ctx context.Context, r *logReader) error {
		output := r.output
		pass := func(p backends.LogChunk) error {
			mu.Lock()
			defer mu.Unlock()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return each(p)
		}
		lines := lineBuffer{emit: func(data []byte) error {
			return pass(backends.LogChunk{Stderr: output == "stderr", Data: data, Unordered: true})
		}}
		r.emit, r.onIdle = lines.emit, func() error { return nil }
		if len(selected) > 1 {
			r.emit, r.onIdle = lines.write, lines.flush
		}
		r.onStart = func(s logSection) error { return noteRotated(output, q, s, pass) }
		r.onGap = func() error {
			if err := lines.flush(); err != nil { // the data after the gap does not continue this line
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			return each(backends.LogChunk{Stderr: output == "stderr", Lost: true})
		}
		r.onCaughtUp = func() error {
			if err := lines.flush(); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if behind--; behind > 0 || !q.Follow {
				return nil
			}
			return each(backends.LogChunk{CaughtUp: true})
		}
		err := r.read(ctx)
		return cmp.Or(err, lines.flush())
	})
}

// eachReader calls do for each reader: at the same time if they follow, otherwise one after the other.
func eachReader(ctx context.Context, readers []*logReader, do func(context.Context, *logReader) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	if len(readers) > 0 && !readers[0].follow {
		group.SetLimit(1) // stdout first
	}
	for _, r := range readers {
		group.Go(func() error {
			return safego.Protect(func() error { return do(groupCtx, r) })
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// lineBuffer emits whole lines when both outputs of a task go to one reader, so that they do not mix within a line. It
// emits an incomplete line when the task pauses.
type lineBuffer struct {
	emit     func([]byte) error
	buffered []byte
}

// write emits the complete lines and buffers the rest. It emits a very long line in parts.
func (b *lineBuffer) write(data []byte) error {
	end := bytes.LastIndexByte(data, '\n') + 1
	if end == 0 && len(b.buffered)+len(data) > frameSize {
		end = len(data)
	}
	if end > 0 {
		text := data[:end]
		if len(b.buffered) > 0 {
			text = append(b.buffered, text...)
			b.buffered = nil
		}
		if err := b.emit(text); err != nil {
			return err
		}
	}
	b.buffered = append(b.buffered, data[end:]...)
	return nil
}

// flush emits the buffered incomplete line.
func (b *lineBuffer) flush() error {
	if len(b.buffered) == 0 {
		return nil
	}
	text := b.buffered
	b.buffered = nil
	return b.emit(text)
}
