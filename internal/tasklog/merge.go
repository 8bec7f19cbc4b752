package tasklog

import (
	"context"
	"errors"
	"sync"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

const (
	maxMergedLogs    = 32 // logs that one command merges at a time: each needs a connection and buffers
	maxMergeCommands = 4  // commands that merge logs at the same time

	// maxMergedLongLogs replaces maxMergedLogs if more than minLongLog lines of each log are requested. The lines that
	// Docker has rotated away are then read from Nomad's files, and each log occupies one of the gateway's few
	// connections for logs until it is printed.
	maxMergedLongLogs = 8
	minLongLog        = 1000 // lines
)

// mergeSlots limits the commands that merge logs. Without a free slot, logs are printed one after the other.
var mergeSlots = make(chan struct{}, maxMergeCommands)

// merge prints the logs that have timestamps, merged by time, and marks them done. It returns an error if the client
// cannot be written to.
func (v View) merge(ctx context.Context, logs []wantedLog) error {
	select {
	case mergeSlots <- struct{}{}:
		defer func() { <-mergeSlots }()
	default:
		logs[0].log.note("too many commands are merging logs: showing these logs one after the other")
		return nil
	}
	q := v.Query
	q.Timestamps = true
	size := maxMergedLogs
	if q.Lines < 0 || q.Lines > minLongLog {
		size = maxMergedLongLogs
	}
	for first := 0; first < len(logs); first += size {
		group := logs[first:min(first+size, len(logs))]
		if first > 0 && v.Printer.Filter.Last == 0 {
			group[0].log.note("printed %d logs; now printing the next %d", first, len(group))
		}
		if err := v.mergeGroup(ctx, q, group); err != nil {
			return err
		}
	}
	return nil
}

// mergeGroup prints logs merged by time. A reader for each log hands over one chunk at a time, and mergeGroup prints
// the oldest of these chunks, until all logs have ended. A log without timestamps is left to the caller, unless the
// query needs them.
func (v View) mergeGroup(ctx context.Context, q backends.LogQuery, logs []wantedLog) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	heads := make([]*mergedLog, len(logs))
	var reading sync.WaitGroup
	defer reading.Wait()
	defer stop()
	for i := range logs {
		m := &mergedLog{wanted: &logs[i], chunks: make(chan backends.LogChunk), printed: make(chan struct{})}
		heads[i] = m
		reading.Go(func() {
			defer close(m.chunks)
			m.err = safego.Protect(func() error {
				return v.read(ctx, *m.wanted, q, func(c backends.LogChunk) error { return m.send(ctx, c) })
			})
		})
	}
	for {
		var oldest *mergedLog
		for _, m := range heads {
			if m.peek(ctx) && (oldest == nil || m.time.Before(oldest.time)) {
				oldest = m
			}
		}
		if oldest == nil {
			break
		}
		if err := oldest.wanted.log.print(oldest.head); err != nil {
			return err
		}
		oldest.advance(ctx)
	}
	for _, m := range heads {
		if errors.Is(m.err, backends.ErrNoTimestamps) && !v.Query.NeedsContainer() && !m.hasStarted {
			continue // the caller prints it without timestamps
		}
		m.wanted.done, m.wanted.err = true, m.err
		if err := m.wanted.log.flush(); err != nil {
			return err
		}
	}
	return nil
}

// mergedLog is a log that is being merged. Its reader waits until its chunk is printed, so that no chunks are buffered.
type mergedLog struct {
	wanted  *wantedLog
	chunks  chan backends.LogChunk
	printed chan struct{}
	err     error // set before chunks is closed

	head       backends.LogChunk
	hasHead    bool      // head is set
	time       time.Time // the latest time of head and all earlier chunks, to keep the order of the log
	hasStarted bool      // at least one chunk was received
}

// send hands over a chunk and waits until it is printed.
func (m *mergedLog) send(ctx context.Context, c backends.LogChunk) error {
	select {
	case m.chunks <- c:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-m.printed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// peek waits for the next chunk and reports whether there is one.
func (m *mergedLog) peek(ctx context.Context) bool {
	if m.hasHead {
		return true
	}
	c, more := <-m.chunks
	if !more {
		return false
	}
	m.head, m.hasHead, m.hasStarted = c, true, true
	if c.Time.After(m.time) {
		m.time = c.Time
	}
	return ctx.Err() == nil
}

// advance releases the reader after its chunk was printed.
func (m *mergedLog) advance(ctx context.Context) {
	m.hasHead = false
	select {
	case m.printed <- struct{}{}:
	case <-ctx.Done():
	}
}
