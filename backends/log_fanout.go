package backends

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// LogFanout lets all who follow the same log share one stream of it. A viewer who is slow holds up neither the stream nor
// the others: what has gone meanwhile is skipped, and the viewer told so. The zero value is ready.
type LogFanout struct {
	mu            sync.Mutex
	streams       map[logKey]*logStream
	activeStreams atomic.Int64 // streams with viewers
}

// logKey names what viewers follow. What of it each of them wants may differ.
type logKey struct {
	runtime          LogSource
	allocation, task string
}

// errTooManyStreams is the error of a viewer who would need one stream too many.
var errTooManyStreams = fmt.Errorf("%w: %d logs are being followed", ErrLimitReached, maxStreams)

// Follow calls each with what q wants of a log until the log ends, or ctx does, whose cause is returned then. The first
// viewer begins the stream, which goes on until the last one has left. Who wants more of the past than is kept begins a
// new one for themselves and for those who come after.
func (v *LogFanout) Follow(ctx context.Context, runtime LogSource, in TaskRef, q LogQuery, each func(LogChunk) error) error {
	key := logKey{runtime, in.Allocation.ID, in.Task}
	s, at, err := v.join(ctx, key, in, q)
	if err != nil {
		return err
	}
	defer v.leave(key, s)
	for {
		pieces, moved, err := s.next(&at)
		if !q.Timestamps {
			pieces = mergeChunks(pieces)
		}
		for _, p := range pieces {
			if err := each(p); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		switch {
		case len(pieces) > 0:
		case moved == nil:
			return err
		default:
			select {
			case <-moved:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// join returns the stream of key and where a new viewer begins in it. One that is over, or keeps too little for a new
// viewer, is replaced; it goes on for those who have it.
func (v *LogFanout) join(ctx context.Context, key logKey, in TaskRef, q LogQuery) (*logStream, logCursor, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.streams[key]; s != nil {
		if at, ok := s.cursorFor(q); ok {
			s.viewers++
			return s, at, nil
		}
	}
	if v.activeStreams.Load() >= maxStreams {
		return nil, logCursor{}, errTooManyStreams
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &logStream{query: q, cancel: cancel, viewers: 1, maxBuffer: v.maxBuffer}
	v.activeStreams.Add(1)
	for _, other := range v.streams {
		other.trim()
	}
	s.query.Stdout, s.query.Stderr = true, true
	if v.streams == nil {
		v.streams = map[logKey]*logStream{}
	}
	v.streams[key] = s
	go func() {
		err := Protect(func() error { return key.runtime.Log(ctx, in, s.query, s.put) })
		v.forget(key, s)
		s.close(err)
	}()
	return s, logCursor{unwanted: unwantedOutputs(q)}, nil
}

func (v *LogFanout) leave(key logKey, s *logStream) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.viewers--; s.viewers > 0 {
		return
	}
	v.activeStreams.Add(-1)
	if v.streams[key] == s {
		delete(v.streams, key)
	}
	s.cancel()
}

func (v *LogFanout) forget(key logKey, s *logStream) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.streams[key] == s {
		delete(v.streams, key)
	}
}

// logStream is a log on its way to its viewers, with the newest part of it.
type logStream struct {
	query     LogQuery
	cancel    context.CancelFunc
	viewers   int        // guarded by Viewers.mu
	maxBuffer func() int // bytes that may be kept of each output

	mu         sync.Mutex
	caughtUp   bool         // what there was when it was asked for is here
	container  string       // see Piece
	caughtUpAt int          // number of the first chunk after that
	nextNumber int          // of the next chunk
	buffers    [2]logBuffer // of stdout and of stderr
	changed    chan struct{}
	ended      bool
	err        error
}

// logBuffer is the newest chunks of one of the two outputs. Each has its own room, so that a talkative one leaves the other's
// lines alone.
type logBuffer struct {
	chunks         []bufferedChunk
	size           int
	droppedUpTo    int  // number of the newest chunk that had to go, plus 1
	droppedLines   int  // ends of lines in what is gone
	droppedMidLine bool // what is gone ends within a line
}

// bufferedChunk is a piece that nobody changes any more.
type bufferedChunk struct {
	LogChunk
	number int
}

const (
	maxStreams      = 300      // each reads its source on a connection of its own, with buffers
	maxOutputBuffer = 1 << 20  // bytes that are kept of each output, where there are few streams
	maxTotalBuffer  = 32 << 20 // of all streams
	chunkOverhead   = 128      // what a chunk costs beside its data
)

// maxBuffer returns how many bytes each stream keeps of each of its outputs.
func (v *LogFanout) maxBuffer() int {
	return min(maxOutputBuffer, maxTotalBuffer/2/int(max(v.activeStreams.Load(), 1)))
}

func (s *logStream) put(p LogChunk) error {
	p.Data = bytes.Clone(p.Data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.CaughtUp {
		s.caughtUp, s.container, s.caughtUpAt = true, p.Container, s.nextNumber
		s.notify()
		return nil
	}
	k := &s.buffers[p.Output()]
	k.chunks = append(k.chunks, bufferedChunk{p, s.nextNumber})
	s.nextNumber++
	k.size += len(p.Data) + chunkOverhead
	k.trim(s.maxBuffer())
	s.notify()
	return nil
}

// trim lets the oldest chunks go for which there is no room.
func (k *logBuffer) trim(room int) {
	gone := 0
	for ; k.size > room && gone < len(k.chunks)-1; gone++ {
		old := k.chunks[gone]
		k.size -= len(old.Data) + chunkOverhead
		k.droppedUpTo = old.number + 1
		k.droppedLines += bytes.Count(old.Data, newline)
		if !old.isNotice() {
			k.droppedMidLine = !bytes.HasSuffix(old.Data, newline)
		}
		k.chunks[gone] = bufferedChunk{}
	}
	k.chunks = k.chunks[gone:]
}

func (s *logStream) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.buffers {
		s.buffers[i].trim(s.maxBuffer())
	}
}

func (s *logStream) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.err = true, err
	s.notify()
}

func (s *logStream) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// mergeChunks puts neighbouring pieces of one output together, so that a burst of short lines is written as one.
func mergeChunks(pieces []LogChunk) []LogChunk {
	var all []LogChunk
	ours := false // the data of the last one is ours to append to; that of chunks is everybody's
	for _, p := range pieces {
		n := len(all) - 1
		if n < 0 || all[n].Stderr != p.Stderr || all[n].Skipped > 0 || p.Skipped > 0 || all[n].isNotice() || p.isNotice() {
			all, ours = append(all, p), false
			continue
		}
		if !ours {
			all[n].Data, ours = bytes.Clone(all[n].Data), true
		}
		all[n].Data, all[n].Time = append(all[n].Data, p.Data...), p.Time
	}
	return all
}

var newline = []byte{'\n'}
