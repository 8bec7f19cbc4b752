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
	maxMerged = 32 // logs that are read at the same time to be merged: each has a connection and buffers
	maxMerges = 4  // commands that do so

	// maxMergedLong is maxMerged where much of each log is wanted: what Docker has rotated away is then read from Nomad's
	// files, and a log holds one of the slots for them until it is shown.
	maxMergedLong = 8
	longLog       = 1000 // lines
)

// merges are the slots of the commands that merge logs. Without one, logs are shown one after the other.
var merges = make(chan struct{}, maxMerges)

// merge shows those of the logs that have times, merged by them, and returns all logs, with what was shown marked as done.
func merge(ctx context.Context, req *router.Request, q backends.LogQuery, logs []wantedLog) ([]wantedLog, []error) {
	select {
	case merges <- struct{}{}:
		defer func() { <-merges }()
	default:
		logs[0].log.note("too many commands are merging logs: showing these logs one after the other")
		return logs, nil
	}
	asked := q.Timestamps
	q.Timestamps = true
	size := maxMerged
	if q.Lines < 0 || q.Lines > longLog {
		size = maxMergedLong
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
		m := &mergedLog{wanted: &logs[i], pieces: make(chan backends.LogChunk), next: make(chan struct{})}
		heads[i] = m
		reading.Go(func() {
			defer close(m.pieces)
			m.err = backends.Protect(func() error {
				return m.wanted.read(ctx, req, q, func(p backends.LogChunk) error { return m.offer(ctx, p) })
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
		oldest.take(ctx)
	}
	for _, m := range heads {
		if errors.Is(m.err, backends.ErrNoTimestamps) && !asked && !m.passed {
			continue // it is shown without times
		}
		m.wanted.done = true
		err := m.err
		if flushed := m.wanted.log.flush(); err == nil {
			err = flushed
		}
		errs = append(errs, explainLog(err, m.wanted.logTask))
	}
	return errs
}

// mergedLog is a log on its way to be merged. Its reader waits until its piece has been shown, so that nothing is buffered.
type mergedLog struct {
	wanted *wantedLog
	pieces chan backends.LogChunk
	next   chan struct{}
	err    error // set before pieces is closed

	head   backends.LogChunk
	has    bool      // head is set
	time   time.Time // of head, or of an earlier piece if that is later: the order of a log stays
	passed bool
}

// offer hands over a piece and waits until it has been shown.
func (m *mergedLog) offer(ctx context.Context, p backends.LogChunk) error {
	select {
	case m.pieces <- p:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-m.next:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// peek waits for the next piece and reports whether there is one.
func (m *mergedLog) peek(ctx context.Context) bool {
	if m.has {
		return true
	}
	p, more := <-m.pieces
	if !more {
		return false
	}
	m.head, m.has, m.passed = p, true, true
	if p.Time.After(m.time) {
		m.time = p.Time
	}
	return ctx.Err() == nil
}

// take lets the reader go on.
func (m *mergedLog) take(ctx context.Context) {
	m.has = false
	select {
	case m.next <- struct{}{}:
	case <-ctx.Done():
	}
}
