package commands

import (
	"context"
	"errors"
	"sync"
	"time"

	"nomadctld/backends"
	"nomadctld/router"
)

const (
	maxMergedLogs    = 32 // logs that are read at the same time to be merged: each has a connection and buffers
	maxMergeCommands = 4  // commands that do so

	// maxMergedLongLogs is maxMergedLogs where much of each log is wanted: what Docker has rotated away is then read from Nomad's
	// files, and a log holds one of the slots for them until it is shown.
	maxMergedLongLogs = 8
	minLongLog        = 1000 // lines
)

// mergeSlots are the slots of the commands that merge logs. Without one, logs are shown one after the other.
var mergeSlots = make(chan struct{}, maxMergeCommands)

// mergeLogs shows those of the logs that have times, merged by them, and returns all logs, with what was shown marked as done.
func mergeLogs(ctx context.Context, req *router.Request, q backends.LogQuery, logs []wantedLog) ([]wantedLog, []error) {
	select {
	case mergeSlots <- struct{}{}:
		defer func() { <-mergeSlots }()
	default:
		logs[0].log.note("too many commands are merging logs: showing these logs one after the other")
		return logs, nil
	}
	asked := q.Timestamps
	q.Timestamps = true
	size := maxMergedLogs
	if q.Lines < 0 || q.Lines > minLongLog {
		size = maxMergedLongLogs
	}
	var errs []error
	for begin := 0; begin < len(logs); begin += size {
		group := logs[begin:min(begin+size, len(logs))]
		if begin > 0 {
			group[0].log.note("showed %d logs; the next %d follow", begin, len(group))
		}
		errs = append(errs, mergeGroup(ctx, req, q, asked, group)...)
	}
	return logs, errs
}

func mergeGroup(ctx context.Context, req *router.Request, q backends.LogQuery, asked bool, logs []wantedLog) (errs []error) {
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
			m.err = backends.Protect(func() error {
				return m.wanted.read(ctx, req, q, func(p backends.LogChunk) error { return m.send(ctx, p) })
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
			return append(errs, err)
		}
		oldest.advance(ctx)
	}
	for _, m := range heads {
		if errors.Is(m.err, backends.ErrNoTimestamps) && !asked && !m.hasPrinted {
			continue // it is shown without times
		}
		m.wanted.done = true
		err := m.err
		if flushed := m.wanted.log.flush(); err == nil {
			err = flushed
		}
		errs = append(errs, explainLogError(err, m.wanted.logTask))
	}
	return errs
}

// mergedLog is a log on its way to be merged. Its reader waits until its piece has been shown, so that nothing is buffered.
type mergedLog struct {
	wanted  *wantedLog
	chunks  chan backends.LogChunk
	printed chan struct{}
	err     error // set before pieces is closed

	head       backends.LogChunk
	hasHead    bool      // head is set
	time       time.Time // of head, or of an earlier piece if that is later: the order of a log stays
	hasPrinted bool
}

// send hands over a piece and waits until it has been shown.
func (m *mergedLog) send(ctx context.Context, p backends.LogChunk) error {
	select {
	case m.chunks <- p:
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

// peek waits for the next piece and reports whether there is one.
func (m *mergedLog) peek(ctx context.Context) bool {
	if m.hasHead {
		return true
	}
	p, more := <-m.chunks
	if !more {
		return false
	}
	m.head, m.hasHead, m.hasPrinted = p, true, true
	if p.Time.After(m.time) {
		m.time = p.Time
	}
	return ctx.Err() == nil
}

// advance lets the reader go on.
func (m *mergedLog) advance(ctx context.Context) {
	m.hasHead = false
	select {
	case m.printed <- struct{}{}:
	case <-ctx.Done():
	}
}
