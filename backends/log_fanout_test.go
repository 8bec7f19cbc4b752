package backends

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// source is the log of every task, which a test writes.
type source struct {
	Runtime
	asked  atomic.Pointer[LogQuery] // last
	opened atomic.Int32
	pieces chan Piece
	gone   chan struct{}
}

func newSource() *source { return &source{pieces: make(chan Piece), gone: make(chan struct{}, 10)} }

func (s *source) Log(ctx context.Context, _ Place, q LogQuery, each func(Piece) error) error {
	s.asked.Store(&q)
	s.opened.Add(1)
	defer func() { s.gone <- struct{}{} }()
	for {
		select {
		case p, more := <-s.pieces:
			if !more {
				return errors.New("the end")
			}
			each(p)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *source) write(text string) { s.pieces <- Piece{Data: []byte(text)} }

// viewer is one of several who follow a source. What it gets goes to its channel, which holds nothing.
type viewer struct {
	got   chan Piece
	ended chan error
	leave context.CancelFunc
}

func view1(v *Viewers, s *source, lines int) viewer {
	return viewOf(v, s, LogQuery{Stdout: true, Stderr: true, Lines: lines, Follow: true})
}

func viewOf(v *Viewers, s *source, q LogQuery) viewer {
	ctx, leave := context.WithCancel(context.Background())
	w := viewer{make(chan Piece), make(chan error, 1), leave}
	go func() {
		w.ended <- v.Follow(ctx, s, Place{Task: "web"}, q, func(p Piece) error {
			select {
			case w.got <- p:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	return w
}

func (w viewer) wants(t *testing.T, want string) {
	t.Helper()
	got := ""
	for got != want {
		select {
		case p := <-w.got:
			if p.Skipped > 0 {
				got += fmt.Sprintf("<%d>", p.Skipped)
			}
			if p.Live {
				got += "[" + p.Container + "]"
			}
			got += string(p.Data)
		case <-time.After(time.Minute):
			t.Fatalf("got %.80q, want %.80q", got, want)
		}
		if !strings.HasPrefix(want, got) {
			t.Fatalf("got %.200q (%d bytes), want %.200q (%d bytes)", got, len(got), want, len(want))
		}
	}
}

func TestViewersShareOneStreamAndALateOneGetsTheLastLines(t *testing.T) {
	var v Viewers
	s := newSource()
	first := view1(&v, s, 2)
	s.write("a\nb\n")
	first.wants(t, "a\nb\n")
	second := view1(&v, s, 2)
	second.wants(t, "a\nb\n")
	s.write("c\nd")
	first.wants(t, "c\nd")
	second.wants(t, "c\nd")
	late := view1(&v, s, 2)
	late.wants(t, "c\nd")
	other := view1(&v, s, 3) // who wants more has a stream of their own
	s.write("x")
	for other.leave != nil && s.opened.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	for _, w := range []viewer{first, second, late, other} {
		w.leave()
		if err := <-w.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	for range 2 {
		<-s.gone // the streams end with their last viewers
	}
	if n := s.opened.Load(); n != 2 || len(v.streams) != 0 {
		t.Errorf("%d streams were opened, %d are left", n, len(v.streams))
	}
}

func TestWhoIsSlowMissesLinesAndIsToldAndNobodyElseIs(t *testing.T) {
	var v Viewers
	s := newSource()
	fast, slow := view1(&v, s, -1), view1(&v, s, -1)
	s.write("begin\n")
	fast.wants(t, "begin\n")
	slow.wants(t, "begin\n")
	text := strings.Repeat("x", 1000)
	const lines = 3000 // three megabytes: more than is kept
	for i := range lines {
		line := fmt.Sprintf("%d %s\n", i, text)
		s.write(line)
		fast.wants(t, line)
	}
	s.pieces <- Piece{Stderr: true, Data: []byte("other\n")}
	fast.wants(t, "other\n")
	next, skipped := 0, 0
	for next < lines {
		p := <-slow.got
		if p.Skipped > 0 {
			skipped += p.Skipped
			next += p.Skipped
			continue
		}
		for line := range strings.Lines(string(p.Data)) {
			if want := fmt.Sprintf("%d %s\n", next, text); line != want {
				t.Fatalf("after %d skipped: got %.20q, want %.20q", skipped, line, want)
			}
			next++
		}
	}
	slow.wants(t, "other\n") // the other output has room of its own
	if skipped == 0 || skipped > lines-maxRoom/2000 {
		t.Errorf("%d of %d lines skipped", skipped, lines)
	}
	close(s.pieces)
	for _, w := range []viewer{fast, slow} {
		if err := <-w.ended; err == nil || err.Error() != "the end" {
			t.Errorf("got %v, want the stream's own error", err)
		}
	}
}

func TestALineWithoutEndIsSkippedInPart(t *testing.T) {
	var v Viewers
	s := newSource()
	w := view1(&v, s, -1)
	s.write("begin\n")
	w.wants(t, "begin\n")
	for range 100 {
		s.write(strings.Repeat("x", 32<<10))
	}
	s.write("\nend\n")
	skipped := 0
	for {
		p := <-w.got
		skipped += p.Skipped
		if len(p.Data) > 0 && p.Data[0] != 'x' {
			if string(p.Data) != "end\n" || skipped != 1 {
				t.Errorf("got %q after %d lines skipped, want the line after the one that was cut", p.Data, skipped)
			}
			break
		}
	}
	w.leave()
}

// TestViewersOfOneLogShareItWhateverOfItEachWants as long as what they want of its past is kept.
func TestViewersOfOneLogShareItWhateverOfItEachWants(t *testing.T) {
	var v Viewers
	s := newSource()
	at := func(second int) time.Time { return time.Unix(1000+int64(second), 0) }
	first := viewOf(&v, s, LogQuery{Stderr: true, Lines: 3, Follow: true})
	for i := range 6 {
		s.pieces <- Piece{Stderr: i%2 == 1, Time: at(i), Data: fmt.Appendf(nil, "%d\n", i)}
	}
	first.wants(t, "1\n3\n5\n")
	key := logKey{runtime: s, task: "web"}
	if _, enough := v.streams[key].begin(LogQuery{Stdout: true, Stderr: true}); enough {
		t.Error("joined by one who wants less of the past while more of it may come")
	}
	s.pieces <- Piece{Live: true, Container: "c1"}
	first.wants(t, "[c1]")
	if q := s.asked.Load(); !q.Stdout || !q.Stderr || q.Lines != 3 {
		t.Errorf("asked for %+v", *q)
	}
	both := LogQuery{Stdout: true, Stderr: true, Lines: -1, Follow: true}
	var others []viewer
	for _, c := range []struct {
		change func(q *LogQuery)
		want   string
	}{
		{func(q *LogQuery) { q.Lines = 0 }, ""},
		{func(q *LogQuery) { q.Lines = 1 }, "4\n5\n"}, // of each
		{func(q *LogQuery) { q.Lines = 3 }, "0\n1\n2\n3\n4\n5\n"},
		{func(q *LogQuery) { q.Lines, q.Stderr = 2, false }, "2\n4\n"},
		{func(q *LogQuery) { q.Lines, q.Times = 2, true }, "2\n3\n4\n5\n"},
		{func(q *LogQuery) { q.Since = at(2) }, "2\n3\n4\n5\n"},
		{func(q *LogQuery) { q.Since, q.Lines = at(2), 1 }, "4\n5\n"},
		{func(q *LogQuery) { q.Since, q.Stdout = at(9), false }, ""},
	} {
		q := both
		c.change(&q)
		w := viewOf(&v, s, q)
		w.wants(t, c.want+"[c1]")
		others = append(others, w)
	}
	if n := s.opened.Load(); n != 1 {
		t.Errorf("%d streams were opened", n)
	}
	s.pieces <- Piece{Data: []byte("out\n")}
	s.pieces <- Piece{Stderr: true, Data: []byte("err\n")}
	for i, want := range []string{"out\nerr\n", "out\nerr\n", "out\nerr\n", "out\n", "out\nerr\n", "out\nerr\n", "out\nerr\n", "err\n"} {
		others[i].wants(t, want)
	}
	first.wants(t, "err\n")
	for _, q := range []LogQuery{{Stdout: true, Lines: 9}, {Stdout: true, Lines: -1}, {Stderr: true, Lines: -1, Since: at(1)}} {
		if _, enough := v.streams[key].begin(q); enough {
			t.Errorf("%+v: what came before the stream was not needed", q)
		}
	}
	for _, w := range append(others, first) {
		w.leave()
		<-w.ended
	}
	if len(v.streams) != 0 {
		t.Errorf("%d streams are left", len(v.streams))
	}
}

// TestASlowViewerOfOneOutputIsNotToldOfTheOther, which came faster than it reads.
func TestASlowViewerOfOneOutputIsNotToldOfTheOther(t *testing.T) {
	s := &stream{room: new(Viewers).room}
	at := position{unwanted: unwanted(LogQuery{Stdout: true})}
	s.put(Piece{Data: []byte("out\n")})
	for range 3000 {
		s.put(Piece{Stderr: true, Data: []byte(strings.Repeat("x", 1000) + "\n")})
	}
	s.end(nil)
	for range 2 {
		pieces, _, _ := s.next(&at)
		for _, p := range pieces {
			if p.Stderr || string(p.Data) != "out\n" {
				t.Errorf("got %+v", p)
			}
		}
	}
}

// TestAViewerHoldsLittleAtATime also of a log that comes in large pieces, and of its past.
func TestAViewerHoldsLittleAtATime(t *testing.T) {
	s := &stream{room: new(Viewers).room}
	for range 20 {
		s.put(Piece{Data: []byte(strings.Repeat("x", 32<<10-1) + "\n")})
	}
	s.put(Piece{Live: true})
	late, ok := s.begin(LogQuery{Stdout: true, Lines: 15})
	if !ok {
		t.Fatal("not enough is kept")
	}
	for _, c := range []struct {
		at   position
		want int
	}{{position{}, 20}, {late, 15}} {
		lines := 0
		for {
			pieces, moved, _ := s.next(&c.at)
			if moved != nil {
				break
			}
			size := 0
			for _, p := range pieces {
				size += len(p.Data)
			}
			if lines += size >> 15; size > bytesAtOnce {
				t.Errorf("%d bytes at once", size)
			}
		}
		if lines != c.want {
			t.Errorf("got %d lines, want %d", lines, c.want)
		}
	}
}

// TestNothingIsLostBehindALineThatIsSkippedInManyPieces has more pieces of one line than a viewer gets at a time.
func TestNothingIsLostBehindALineThatIsSkippedInManyPieces(t *testing.T) {
	s := &stream{room: new(Viewers).room}
	s.put(Piece{Data: []byte("begin\n")})
	at := position{number: 1, torn: [2]bool{true, false}}
	for range 5 * atOnce {
		s.put(Piece{Data: []byte(".")})
	}
	s.put(Piece{Data: []byte("\nend\n")})
	s.end(nil)
	pieces, moved, _ := s.next(&at)
	if len(pieces) != 1 || string(pieces[0].Data) != "end\n" || moved != nil {
		t.Errorf("got %v", pieces)
	}
}

// TestEveryLineIsEitherSeenOrCounted has a viewer fall behind again and again, also before the line that it was first cut
// off in has ended.
func TestEveryLineIsEitherSeenOrCounted(t *testing.T) {
	skips := 0
	for range 20 {
		s, at := &stream{room: new(Viewers).room}, position{}
		const lines = 20_000
		var all strings.Builder
		for i := range lines {
			fmt.Fprintf(&all, "%d %s\n", i, strings.Repeat("x", rand.IntN(400)))
		}
		next, cut := 0, false
		look := func() {
			for {
				pieces, _, _ := s.next(&at)
				if len(pieces) == 0 {
					return
				}
				for _, p := range pieces {
					if p.Skipped > 0 {
						skips++
						next += p.Skipped
						cut = false
						continue
					}
					for line := range strings.Lines(string(p.Data)) {
						if want := fmt.Sprintf("%d ", next); !cut && len(line) > len(want) && !strings.HasPrefix(line, want) {
							t.Fatalf("got %.20q, want line %d", line, next)
						}
						if cut = !strings.HasSuffix(line, "\n"); !cut {
							next++
						}
					}
				}
				if rand.IntN(3) == 0 {
					return
				}
			}
		}
		for text := all.String(); len(text) > 0; {
			n := min(len(text), 1+rand.IntN(32<<10))
			s.put(Piece{Data: []byte(text[:n])})
			if text = text[n:]; rand.IntN(200) == 0 {
				look()
			}
		}
		s.end(nil)
		for range 1000 {
			look()
		}
		if next != lines {
			t.Errorf("saw or was told of %d lines of %d", next, lines)
		}
	}
	if skips < 20 {
		t.Errorf("skipped only %d times", skips)
	}
}

func TestManyStreamsShareTheRoom(t *testing.T) {
	for streams, want := range map[int64]int{0: 1 << 20, 1: 1 << 20, 16: 1 << 20, 32: 512 << 10, 256: 64 << 10} {
		var v Viewers
		v.open.Store(streams)
		if got := v.room(); got != want {
			t.Errorf("%d streams: got %d bytes each, want %d", streams, got, want)
		}
	}
	var v Viewers
	var viewers []viewer
	for range 3 { // of different runtimes
		source := newSource()
		viewers = append(viewers, view1(&v, source, 1))
		source.write("a\n")
		viewers[len(viewers)-1].wants(t, "a\n")
	}
	if got := v.open.Load(); got != 3 {
		t.Errorf("got %d streams, want 3", got)
	}
	for _, w := range viewers {
		w.leave()
		<-w.ended
	}
	if got := v.open.Load(); got != 0 {
		t.Errorf("got %d streams after all have left, want none", got)
	}
}

// TestWhatIsGoneIsToldToEveryViewer also to one who comes later, and costs nobody a line.
func TestWhatIsGoneIsToldToEveryViewer(t *testing.T) {
	s := &stream{room: new(Viewers).room, query: LogQuery{Lines: -1}, live: true}
	at := position{}
	for _, p := range []Piece{{Data: []byte("a\n")}, {Gone: true}, {Data: []byte("b\n")}, {Stderr: true, Gone: true}} {
		s.put(p)
	}
	late, ok := s.begin(LogQuery{Stdout: true, Stderr: true, Lines: 1, Follow: true})
	if !ok {
		t.Fatal("not enough is kept")
	}
	s.end(nil)
	for name, tc := range map[string]struct {
		at   *position
		want string
	}{"the first": {&at, "a\n<gone>b\n<gone>"}, "a later one": {&late, "b\n<gone>"}} {
		got := ""
		for {
			pieces, _, _ := s.next(tc.at)
			if len(pieces) == 0 {
				break
			}
			for _, p := range merged(pieces) {
				if got += string(p.Data); p.Gone {
					got += "<gone>"
				}
			}
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestViewers_PastIsNotBuffered has a viewer who joins and does not read: what it wanted of the past goes with the stream's room,
// and the viewer is told how many lines that were.
func TestViewers_PastIsNotBuffered(t *testing.T) {
	s := &stream{room: func() int { return 10_000 }, query: LogQuery{Lines: -1}}
	write := func(from, to int) {
		for i := from; i < to; i++ {
			s.put(Piece{Data: fmt.Appendf(nil, "%d %s\n", i, strings.Repeat("x", 100))})
			s.put(Piece{Stderr: true, Data: []byte("err\n")})
		}
	}
	write(0, 10)
	s.put(Piece{Live: true, Container: "c"})
	at, ok := s.begin(LogQuery{Stdout: true, Stderr: true, Lines: 5})
	if !ok {
		t.Fatal("not enough is kept")
	}
	write(10, 500)
	s.end(nil)
	var skipped [2]int
	var seen [2]int
	for {
		pieces, _, _ := s.next(&at)
		if len(pieces) == 0 {
			break
		}
		for _, p := range pieces {
			skipped[p.Output()] += p.Skipped
			seen[p.Output()] += strings.Count(string(p.Data), "\n")
		}
	}
	if seen[0]+skipped[0] != 495 || seen[1]+skipped[1] != 495 || skipped[0] < 400 {
		t.Errorf("saw %d lines and was told of %d, want 495 of each output", seen, skipped)
	}
	if s.kept[0].size > 10_000 {
		t.Errorf("the stream keeps %d bytes", s.kept[0].size)
	}
}

func TestViewers_MaxStreams(t *testing.T) {
	var v Viewers
	v.open.Store(maxStreams)
	err := v.Follow(t.Context(), newSource(), Place{}, LogQuery{Stdout: true}, nil)
	if !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
}
