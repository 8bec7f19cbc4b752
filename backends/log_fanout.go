package backends

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Viewers lets all who follow the same log share one stream of it. A viewer who is slow holds up neither the stream nor
// the others: what has gone meanwhile is skipped, and the viewer told so. The zero value is ready.
type Viewers struct {
	mu      sync.Mutex
	streams map[logKey]*stream
	open    atomic.Int64 // streams with viewers
}

// logKey names what viewers follow. What of it each of them wants may differ.
type logKey struct {
	runtime          LogSource
	allocation, task string
}

// errStreams is the error of a viewer who would need one stream too many.
var errStreams = fmt.Errorf("%w: %d logs are being followed", ErrBusy, maxStreams)

// Follow calls each with what q wants of a log until the log ends, or ctx does, whose cause is returned then. The first
// viewer begins the stream, which goes on until the last one has left. Who wants more of the past than is kept begins a
// new one for themselves and for those who come after.
func (v *Viewers) Follow(ctx context.Context, runtime LogSource, in Place, q LogQuery, each func(Piece) error) error {
	key := logKey{runtime, in.Allocation.ID, in.Task}
	s, at, err := v.join(ctx, key, in, q)
	if err != nil {
		return err
	}
	defer v.leave(key, s)
	for {
		pieces, moved, err := s.next(&at)
		if !q.Times {
			pieces = merged(pieces)
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
func (v *Viewers) join(ctx context.Context, key logKey, in Place, q LogQuery) (*stream, position, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.streams[key]; s != nil {
		if at, ok := s.begin(q); ok {
			s.viewers++
			return s, at, nil
		}
	}
	if v.open.Load() >= maxStreams {
		return nil, position{}, errStreams
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &stream{query: q, cancel: cancel, viewers: 1, room: v.room}
	v.open.Add(1)
	for _, other := range v.streams {
		other.trim()
	}
	s.query.Stdout, s.query.Stderr = true, true
	if v.streams == nil {
		v.streams = map[logKey]*stream{}
	}
	v.streams[key] = s
	go func() {
		err := Protect(func() error { return key.runtime.Log(ctx, in, s.query, s.put) })
		v.forget(key, s)
		s.end(err)
	}()
	return s, position{unwanted: unwanted(q)}, nil
}

func (v *Viewers) leave(key logKey, s *stream) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.viewers--; s.viewers > 0 {
		return
	}
	v.open.Add(-1)
	if v.streams[key] == s {
		delete(v.streams, key)
	}
	s.cancel()
}

func (v *Viewers) forget(key logKey, s *stream) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.streams[key] == s {
		delete(v.streams, key)
	}
}

// stream is a log on its way to its viewers, with the newest part of it.
type stream struct {
	query   LogQuery
	cancel  context.CancelFunc
	viewers int        // guarded by Viewers.mu
	room    func() int // bytes that may be kept of each output

	mu        sync.Mutex
	live      bool    // what there was when it was asked for is here
	container string  // see Piece
	liveAt    int     // number of the first chunk after that
	number    int     // of the next chunk
	kept      [2]kept // of stdout and of stderr
	moved     chan struct{}
	ended     bool
	err       error
}

// kept is the newest chunks of one of the two outputs. Each has its own room, so that a talkative one leaves the other's
// lines alone.
type kept struct {
	chunks []chunk
	size   int
	gone   int  // number of the newest chunk that had to go, plus 1
	lines  int  // ends of lines in what is gone
	ragged bool // what is gone ends within a line
}

// chunk is a piece that nobody changes any more.
type chunk struct {
	Piece
	number int
}

const (
	maxStreams = 300      // each reads its source on a connection of its own, with buffers
	maxRoom    = 1 << 20  // bytes that are kept of each output, where there are few streams
	allRoom    = 32 << 20 // of all streams
	overhead   = 128      // what a chunk costs beside its data
)

// room returns how many bytes each stream keeps of each of its outputs.
func (v *Viewers) room() int {
	return min(maxRoom, allRoom/2/int(max(v.open.Load(), 1)))
}

func (s *stream) put(p Piece) error {
	p.Data = bytes.Clone(p.Data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Live {
		s.live, s.container, s.liveAt = true, p.Container, s.number
		s.wake()
		return nil
	}
	k := &s.kept[p.Output()]
	k.chunks = append(k.chunks, chunk{p, s.number})
	s.number++
	k.size += len(p.Data) + overhead
	k.trim(s.room())
	s.wake()
	return nil
}

// trim lets the oldest chunks go for which there is no room.
func (k *kept) trim(room int) {
	gone := 0
	for ; k.size > room && gone < len(k.chunks)-1; gone++ {
		old := k.chunks[gone]
		k.size -= len(old.Data) + overhead
		k.gone = old.number + 1
		k.lines += bytes.Count(old.Data, newline)
		if !old.isRemark() {
			k.ragged = !bytes.HasSuffix(old.Data, newline)
		}
		k.chunks[gone] = chunk{}
	}
	k.chunks = k.chunks[gone:]
}

func (s *stream) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.kept {
		s.kept[i].trim(s.room())
	}
}

func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.err = true, err
	s.wake()
}

func (s *stream) wake() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}

// merged puts neighbouring pieces of one output together, so that a burst of short lines is written as one.
func merged(pieces []Piece) []Piece {
	var all []Piece
	ours := false // the data of the last one is ours to append to; that of chunks is everybody's
	for _, p := range pieces {
		n := len(all) - 1
		if n < 0 || all[n].Stderr != p.Stderr || all[n].Skipped > 0 || p.Skipped > 0 || all[n].isRemark() || p.isRemark() {
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
