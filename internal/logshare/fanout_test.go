package logshare

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// fakeSource is a log written by a test.
type fakeSource struct {
	backends.Runtime
	lastQuery atomic.Pointer[backends.LogQuery]
	opened    atomic.Int32
	chunks    chan backends.LogChunk
	closed    chan struct{}
}

func newSource() *fakeSource {
	return &fakeSource{chunks: make(chan backends.LogChunk), closed: make(chan struct{}, 10)}
}

func (s *fakeSource) Log(
	ctx context.Context, _ backends.TaskRef, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	s.lastQuery.Store(&q)
	s.opened.Add(1)
	defer func() { s.closed <- struct{}{} }()
	for {
		select {
		case p, more := <-s.chunks:
			if !more {
				return errors.New("the end")
			}
			each(p)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *fakeSource) write(text string) { s.chunks <- backends.LogChunk{Data: []byte(text)} }

// testViewer follows a source and sends its chunks to an unbuffered channel.
type testViewer struct {
	got   chan backends.LogChunk
	ended chan error
	leave context.CancelFunc
}

func newTestViewer(f *Fanout, s *fakeSource, lines int) testViewer {
	return newTestViewerWithQuery(f, s, backends.LogQuery{Stdout: true, Stderr: true, Lines: lines, Follow: true})
}

func newTestViewerWithQuery(f *Fanout, s *fakeSource, q backends.LogQuery) testViewer {
	ctx, leave := context.WithCancel(context.Background())
	viewer := testViewer{make(chan backends.LogChunk), make(chan error, 1), leave}
	go func() {
		viewer.ended <- f.Follow(ctx, s, backends.TaskRef{Task: "web"}, q, func(p backends.LogChunk) error {
			select {
			case viewer.got <- p:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	return viewer
}

func (v testViewer) expect(t *testing.T, want string) {
	t.Helper()
	got := ""
	for got != want {
		select {
		case p := <-v.got:
			if p.Skipped > 0 {
				got += fmt.Sprintf("<%d>", p.Skipped)
			}
			if p.CaughtUp {
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

func TestFanout_LateViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Fanout
		s := newSource()
		first := newTestViewer(&f, s, 2)
		s.write("a\nb\n")
		first.expect(t, "a\nb\n")
		second := newTestViewer(&f, s, 2)
		second.expect(t, "a\nb\n")
		s.write("c\nd")
		first.expect(t, "c\nd")
		second.expect(t, "c\nd")
		late := newTestViewer(&f, s, 2)
		late.expect(t, "c\nd")
		other := newTestViewer(&f, s, 3) // more lines than buffered: a new stream
		s.write("x")
		synctest.Wait()
		for _, viewer := range []testViewer{first, second, late, other} {
			viewer.leave()
			if err := <-viewer.ended; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		for range 2 {
			<-s.closed // the streams end with their last viewers
		}
		if n := s.opened.Load(); n != 2 || len(f.streams) != 0 {
			t.Errorf("%d streams were opened, %d remain", n, len(f.streams))
		}
	})
}

func TestFanout_SlowViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Fanout
		s := newSource()
		fast, slow := newTestViewer(&f, s, -1), newTestViewer(&f, s, -1)
		s.write("start\n")
		fast.expect(t, "start\n")
		slow.expect(t, "start\n")
		text := strings.Repeat("x", 1000)
		const lines = 3000 // three megabytes, more than the buffer
		for i := range lines {
			line := fmt.Sprintf("%d %s\n", i, text)
			s.write(line)
			fast.expect(t, line)
		}
		s.chunks <- backends.LogChunk{Stderr: true, Data: []byte("other\n")}
		fast.expect(t, "other\n")
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
		slow.expect(t, "other\n") // the other output has its own buffer
		if skipped == 0 || skipped > lines-maxOutputBuffer/2000 {
			t.Errorf("%d of %d lines skipped", skipped, lines)
		}
		close(s.chunks)
		for _, viewer := range []testViewer{fast, slow} {
			if err := <-viewer.ended; err == nil || err.Error() != "the end" {
				t.Errorf("got %v, want the stream's own error", err)
			}
		}
	})
}

func TestFanout_UnterminatedLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Fanout
		s := newSource()
		viewer := newTestViewer(&f, s, -1)
		s.write("start\n")
		viewer.expect(t, "start\n")
		for range 100 {
			s.write(strings.Repeat("x", 32<<10))
		}
		s.write("\nend\n")
		skipped := 0
		for {
			p := <-viewer.got
			skipped += p.Skipped
			if len(p.Data) > 0 && p.Data[0] != 'x' {
				if string(p.Data) != "end\n" || skipped != 1 {
					t.Errorf("got %q after %d lines skipped, want the line after the one that was cut", p.Data, skipped)
				}
				break
			}
		}
		viewer.leave()
	})
}

// TestFanout_DifferentQueries checks that viewers with different queries share a stream as long as the lines that
// they select are buffered.
func TestFanout_DifferentQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Fanout
		s := newSource()
		at := func(second int) time.Time { return time.Unix(1000+int64(second), 0) }
		first := newTestViewerWithQuery(&f, s, backends.LogQuery{Stdout: true, Stderr: true, Lines: 6, Follow: true})
		for i := range 6 {
			s.chunks <- backends.LogChunk{Stderr: i%2 == 1, Time: at(i), Data: fmt.Appendf(nil, "%d\n", i)}
		}
		first.expect(t, "0\n1\n2\n3\n4\n5\n")
		key := streamKey{source: s, task: "web", stdout: true, stderr: true}
		if _, enough := f.streams[key].cursorFor(backends.LogQuery{Stdout: true, Stderr: true}); enough {
			t.Error("a viewer with another query joined before the stream has caught up")
		}
		s.chunks <- backends.LogChunk{CaughtUp: true, Container: "c1"}
		first.expect(t, "[c1]")
		if q := s.lastQuery.Load(); !q.Stdout || !q.Stderr || q.Lines != 6 {
			t.Errorf("asked for %+v", *q)
		}
		both := backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, Follow: true}
		var others []testViewer
		for _, c := range []struct {
			change func(q *backends.LogQuery)
			want   string
		}{
			{func(q *backends.LogQuery) { q.Lines = 0 }, ""},
			{func(q *backends.LogQuery) { q.Lines = 1 }, "5\n"},
			{func(q *backends.LogQuery) { q.Lines = 3 }, "3\n4\n5\n"},
			{func(q *backends.LogQuery) { q.Lines, q.Timestamps = 2, true }, "4\n5\n"},
			{func(q *backends.LogQuery) { q.Since = at(2) }, "2\n3\n4\n5\n"},
			{func(q *backends.LogQuery) { q.Since, q.Lines = at(2), 1 }, "5\n"},
			{func(q *backends.LogQuery) { q.Since = at(9) }, ""},
		} {
			q := both
			c.change(&q)
			viewer := newTestViewerWithQuery(&f, s, q)
			viewer.expect(t, c.want+"[c1]")
			others = append(others, viewer)
		}
		if n := s.opened.Load(); n != 1 {
			t.Errorf("%d streams were opened", n)
		}
		s.chunks <- backends.LogChunk{Data: []byte("out\n")}
		s.chunks <- backends.LogChunk{Stderr: true, Data: []byte("err\n")}
		for _, viewer := range append(others, first) {
			viewer.expect(t, "out\nerr\n")
		}
		for _, q := range []backends.LogQuery{
			{Lines: 9},
			{Lines: -1},
			{Lines: -1, Since: at(-1)},
		} {
			if _, enough := f.streams[key].cursorFor(q); enough {
				t.Errorf("%+v: joined, want a new stream for older lines", q)
			}
		}
		for _, viewer := range append(others, first) {
			viewer.leave()
			<-viewer.ended
		}
		if len(f.streams) != 0 {
			t.Errorf("%d streams remain", len(f.streams))
		}
	})
}

// TestFanout_Outputs checks that viewers of one output share a stream, but not with viewers of both.
func TestFanout_Outputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Fanout
		s := newSource()
		var viewers []testViewer
		for i, q := range []backends.LogQuery{
			{Stdout: true, Stderr: true}, {Stdout: true}, {Stderr: true}, {Stderr: true}, {Stdout: true},
		} {
			viewers = append(viewers, newTestViewerWithQuery(&f, s, q))
			synctest.Wait()
			if got := s.lastQuery.Load(); i < 3 && (got.Stdout != q.Stdout || got.Stderr != q.Stderr) {
				t.Errorf("%+v: asked for %+v", q, *got)
			}
		}
		if n := s.opened.Load(); n != 3 {
			t.Errorf("%d streams were opened, want 3", n)
		}
		for _, viewer := range viewers {
			viewer.leave()
			<-viewer.ended
		}
	})
}

// TestStreamTail checks from where on a viewer gets the lines of a stream that it joins.
func TestStreamTail(t *testing.T) {
	const own = "a stream of its own"
	for name, tc := range map[string]struct {
		stream int // the lines that the stream was opened with
		// o, e: stdout and stderr; O, E: from Nomad's files; ends with ; if the line is complete, or with ! for a notice;
		// starts with - if the stream has dropped it
		chunks string
		lines  int
		want   string
	}{
		"both outputs":         {9, "o1; e2; e3; o4; e5;", 3, "e3; o4; e5;"},
		"one output only":      {9, "e1; o2; o3; o4;", 2, "o3; o4;"},
		"more than buffered":   {3, "o1; e2; o3;", 4, own},
		"all":                  {-1, "o1; e2; o3;", 4, "o1; e2; o3;"},
		"stderr dropped":       {-1, "-e1; e2; o3; o4; o5;", 3, "o3; o4; o5;"},
		"stdout dropped":       {-1, "-o1; e2; e3; o4; o5;", 3, "e3; o4; o5;"},
		"needs dropped":        {-1, "-e0; o1; e2; o3;", 4, own},
		"rare and dropped":     {-1, "-e0; o1; o2; o3; e4;", 4, "o1; o2; o3; e4;"},
		"dropped between":      {-1, "e1; -o2; e3; o4;", 3, own},
		"dropped mid-line":     {-1, "-o1 o2; e3; o4;", 3, own},
		"notice":               {9, "o1; e! e2; o3; e! o4;", 2, "o3; e! o4;"},
		"notice between":       {9, "o1; o2; o! o3;", 2, "o2; o! o3;"},
		"incomplete lines":     {9, "o1; o2 e3; o4; e5", 2, "e3; e5"},
		"lines of many chunks": {9, "o1; e2 o3 e4; o5; o6", 3, "e2 o3 e4; o5; o6"},
		"joins mid-line":       {0, "o1; o2;", 1, "o2;"},
		"starts mid-line":      {0, "o1; e2; o3;", 2, own},
		"files":                {9, "O1; O2; O3; E4; E5; E6; E7;", 5, "O2; O3; E5; E6; E7;"},
		"files, little stderr": {9, "E1; O2; O3; O4; O5;", 4, "E1; O3; O4; O5;"},
		"files, odd":           {9, "E1; O2;", 1, "E1;"},
		"files, dropped":       {-1, "-O1; O2; O3; O4; E5; E6; E7; E8;", 3, "O4; E7; E8;"},
		"files, needs dropped": {-1, "-O1; O2; O3; E5; E6; E7; E8;", 3, own},
		"files and container":  {9, "O1; O2; E3; E4; o5; e6;", 4, "O2; E4; o5; e6;"},
	} {
		s := &stream{maxBuffer: func() int { return 1 << 20 }, query: backends.LogQuery{Lines: tc.stream}}
		for text := range strings.FieldsSeq(tc.chunks) {
			text, isDropped := strings.CutPrefix(text, "-")
			kind := strings.ToLower(text[:1])
			c := backends.LogChunk{Stderr: kind == "e", Unordered: kind != text[:1]}
			if c.Lost = text[1:] == "!"; !c.Lost {
				c.Data = []byte(strings.ReplaceAll(text, ";", "\n"))
			}
			s.put(c)
			if isDropped {
				s.buffers[c.OutputIndex()].drop(0, 1)
			}
		}
		s.put(backends.LogChunk{CaughtUp: true})
		at, ok := s.cursorFor(backends.LogQuery{Stdout: true, Stderr: true, Lines: tc.lines})
		s.close(nil)
		got := own
		if ok {
			got = ""
			for {
				batch, _, _ := s.next(&at)
				if len(batch) == 0 {
					break
				}
				for _, p := range batch {
					if p.Lost {
						p.Data = []byte(map[bool]string{false: "o!", true: "e!"}[p.Stderr])
					}
					got += strings.ReplaceAll(string(p.Data), "\n", ";") + " "
				}
			}
			got = strings.TrimSpace(got)
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestMergeChunks checks that only adjacent chunks of the same kind are joined.
func TestMergeChunks(t *testing.T) {
	chunk := func(text string, stderr, unordered bool) backends.LogChunk {
		return backends.LogChunk{Data: []byte(text), Stderr: stderr, Unordered: unordered}
	}
	merged := mergeChunks([]backends.LogChunk{
		chunk("a", false, true), chunk("b", false, true), chunk("c", false, false), chunk("d", false, false),
		{Lost: true},
		chunk("e", false, false), chunk("f", true, false), chunk("g", true, false),
	})
	got := ""
	for _, c := range merged {
		got += string(c.Data) + " "
	}
	if got != "ab cd  e fg " {
		t.Errorf("got %q", got)
	}
}

// TestFanout_BatchSize uses large chunks.
func TestFanout_BatchSize(t *testing.T) {
	s := &stream{maxBuffer: new(Fanout).maxBuffer}
	for range 20 {
		s.put(backends.LogChunk{Data: []byte(strings.Repeat("x", 32<<10-1) + "\n")})
	}
	s.put(backends.LogChunk{CaughtUp: true})
	late, ok := s.cursorFor(backends.LogQuery{Stdout: true, Lines: 15})
	if !ok {
		t.Fatal("not enough is buffered")
	}
	for _, c := range []struct {
		at   cursor
		want int
	}{{cursor{}, 20}, {late, 15}} {
		lines := 0
		for {
			batch, changed, _ := s.next(&c.at)
			if changed != nil {
				break
			}
			size := 0
			for _, p := range batch {
				size += len(p.Data)
			}
			if lines += size >> 15; size > maxBatchBytes {
				t.Errorf("%d bytes at once", size)
			}
		}
		if lines != c.want {
			t.Errorf("got %d lines, want %d", lines, c.want)
		}
	}
}

// TestFanout_SkipsRestOfLine has a line of more chunks than a batch.
func TestFanout_SkipsRestOfLine(t *testing.T) {
	s := &stream{maxBuffer: new(Fanout).maxBuffer}
	s.put(backends.LogChunk{Data: []byte("start\n")})
	at := cursor{number: 1, midLine: [2]bool{true, false}}
	for range 5 * maxBatchChunks {
		s.put(backends.LogChunk{Data: []byte(".")})
	}
	s.put(backends.LogChunk{Data: []byte("\nend\n")})
	s.close(nil)
	batch, changed, _ := s.next(&at)
	if len(batch) != 1 || string(batch[0].Data) != "end\n" || changed != nil {
		t.Errorf("got %v", batch)
	}
}

// TestFanout_CountsEveryLine has a viewer that falls behind many times, also in the middle of lines.
func TestFanout_CountsEveryLine(t *testing.T) {
	skips := 0
	for range 20 {
		s, at := &stream{maxBuffer: new(Fanout).maxBuffer}, cursor{}
		const lines = 20_000
		var all strings.Builder
		for i := range lines {
			fmt.Fprintf(&all, "%d %s\n", i, strings.Repeat("x", rand.IntN(400)))
		}
		next, cut := 0, false
		drain := func() {
			for {
				batch, _, _ := s.next(&at)
				if len(batch) == 0 {
					return
				}
				for _, p := range batch {
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
			s.put(backends.LogChunk{Data: []byte(text[:n])})
			if text = text[n:]; rand.IntN(200) == 0 {
				drain()
			}
		}
		s.close(nil)
		for range 1000 {
			drain()
		}
		if next != lines {
			t.Errorf("saw or counted %d lines of %d", next, lines)
		}
	}
	if skips < 20 {
		t.Errorf("skipped only %d times", skips)
	}
}

func TestFanout_BufferShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for streams, want := range map[int64]int{0: 1 << 20, 1: 1 << 20, 16: 1 << 20, 32: 512 << 10, 256: 64 << 10} {
			var f Fanout
			f.activeStreams.Store(streams)
			if got := f.maxBuffer(); got != want {
				t.Errorf("%d streams: got %d bytes each, want %d", streams, got, want)
			}
		}
		var f Fanout
		var viewers []testViewer
		for range 3 { // different sources
			source := newSource()
			viewers = append(viewers, newTestViewer(&f, source, 1))
			source.write("a\n")
			viewers[len(viewers)-1].expect(t, "a\n")
		}
		if got := f.activeStreams.Load(); got != 3 {
			t.Errorf("got %d streams, want 3", got)
		}
		for _, viewer := range viewers {
			viewer.leave()
			<-viewer.ended
		}
		if got := f.activeStreams.Load(); got != 0 {
			t.Errorf("got %d streams after all viewers have left, want none", got)
		}
	})
}

// TestFanout_ReportsLost checks that every viewer gets the Lost chunks, and all lines.
func TestFanout_ReportsLost(t *testing.T) {
	s := &stream{maxBuffer: new(Fanout).maxBuffer, query: backends.LogQuery{Lines: -1}, caughtUp: true}
	at := cursor{}
	for _, p := range []backends.LogChunk{
		{Data: []byte("a\n")}, {Lost: true}, {Data: []byte("b\n")}, {Stderr: true, Lost: true},
	} {
		s.put(p)
	}
	late, ok := s.cursorFor(backends.LogQuery{Stdout: true, Stderr: true, Lines: 1, Follow: true})
	if !ok {
		t.Fatal("not enough is buffered")
	}
	s.close(nil)
	for name, tc := range map[string]struct {
		at   *cursor
		want string
	}{"the first": {&at, "a\n<gone>b\n<gone>"}, "a later one": {&late, "b\n<gone>"}} {
		got := ""
		for {
			batch, _, _ := s.next(tc.at)
			if len(batch) == 0 {
				break
			}
			for _, p := range mergeChunks(batch) {
				if got += string(p.Data); p.Lost {
					got += "<gone>"
				}
			}
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestFanout_CountsDroppedBeforeRead has a viewer that joins and does not read. The stream drops the lines that it
// selected, and the viewer gets a count of them.
func TestFanout_CountsDroppedBeforeRead(t *testing.T) {
	s := &stream{maxBuffer: func() int { return 10_000 }, query: backends.LogQuery{Lines: -1}}
	write := func(from, to int) {
		for i := from; i < to; i++ {
			s.put(backends.LogChunk{Data: fmt.Appendf(nil, "%d %s\n", i, strings.Repeat("x", 100))})
			s.put(backends.LogChunk{Stderr: true, Data: []byte("err\n")})
		}
	}
	write(0, 10)
	s.put(backends.LogChunk{CaughtUp: true, Container: "c"})
	at, ok := s.cursorFor(backends.LogQuery{Stdout: true, Stderr: true, Lines: 10})
	if !ok {
		t.Fatal("not enough is buffered")
	}
	write(10, 500)
	s.close(nil)
	var skipped [2]int
	var seen [2]int
	for {
		batch, _, _ := s.next(&at)
		if len(batch) == 0 {
			break
		}
		for _, p := range batch {
			skipped[p.OutputIndex()] += p.Skipped
			seen[p.OutputIndex()] += strings.Count(string(p.Data), "\n")
		}
	}
	if seen[0]+skipped[0] != 495 || seen[1]+skipped[1] != 495 || skipped[0] < 400 {
		t.Errorf("saw %d lines and counted %d, want 495 of each output", seen, skipped)
	}
	if s.buffers[0].size > 10_000 {
		t.Errorf("the stream buffers %d bytes", s.buffers[0].size)
	}
}

// panickingSource is a source with a bug.
type panickingSource struct{ backends.LogSource }

func (panickingSource) Log(
	_ context.Context, _ backends.TaskRef, _ backends.LogQuery, each func(backends.LogChunk) error,
) error {
	_ = each(backends.LogChunk{Data: []byte("a\n")})
	panic("a detail")
}

func TestFanout_SourcePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Fanout
		got := ""
		err := f.Follow(t.Context(), panickingSource{}, backends.TaskRef{Task: "web"},
			backends.LogQuery{Stdout: true, Lines: -1, Follow: true}, func(c backends.LogChunk) error {
				got += string(c.Data)
				return nil
			})
		if caught := (*safego.PanicError)(nil); got != "a\n" || !errors.As(err, &caught) {
			t.Errorf("got %q, %v, want the text before the panic, and the panic", got, err)
		}
		if len(f.streams) != 0 || f.activeStreams.Load() != 0 {
			t.Errorf("%d streams remain, %d active", len(f.streams), f.activeStreams.Load())
		}
	})
}

// TestFanout_ViewerFailsOrLeaves checks how Follow returns when a viewer's callback fails and when its context ends.
func TestFanout_ViewerFailsOrLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Fanout
		s := newSource()
		stay := newTestViewer(&f, s, -1)
		full, left := errors.New("disk full"), errors.New("left")
		q := backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, Follow: true}
		failed, ended := make(chan error, 1), make(chan error, 1)
		ctx, leave := context.WithCancelCause(t.Context())
		go func() {
			failed <- f.Follow(t.Context(), s, backends.TaskRef{Task: "web"}, q,
				func(backends.LogChunk) error { return full })
		}()
		go func() {
			ended <- f.Follow(ctx, s, backends.TaskRef{Task: "web"}, q,
				func(backends.LogChunk) error { return nil })
		}()
		synctest.Wait()
		s.write("a\n")
		if err := <-failed; err != full {
			t.Errorf("got %v, want the viewer's error", err)
		}
		leave(left)
		if err := <-ended; err != left {
			t.Errorf("got %v, want the cause", err)
		}
		stay.expect(t, "a\n")
		stay.leave()
		<-stay.ended
		if n := s.opened.Load(); n != 1 {
			t.Errorf("%d streams were opened, want 1", n)
		}
	})
}

func TestFanout_MaxStreams(t *testing.T) {
	var f Fanout
	f.activeStreams.Store(maxStreams)
	err := f.Follow(t.Context(), newSource(), backends.TaskRef{}, backends.LogQuery{Stdout: true}, nil)
	if !errors.Is(err, backends.ErrLimitReached) {
		t.Errorf("got %v", err)
	}
}

// TestFanout_CatchUpWaitsForViewer checks that the only viewer of a stream gets all existing lines, however slow it is,
// unless it stalls. After the source has caught up, the viewer skips lines again.
func TestFanout_CatchUpWaitsForViewer(t *testing.T) {
	const lines = 400
	text := strings.Repeat("x", 20_000) + "\n"
	read := func(t *testing.T, caughtUp bool, pause time.Duration) (got, skipped int) {
		f, s := new(Fanout), newSource()
		v := newTestViewer(f, s, -1)
		if caughtUp {
			s.chunks <- backends.LogChunk{CaughtUp: true}
			<-v.got
		}
		go func() {
			for range lines {
				s.write(text)
			}
			close(s.chunks)
		}()
		for {
			select {
			case c := <-v.got:
				got += strings.Count(string(c.Data), "\n")
				skipped += c.Skipped
			case <-v.ended:
				return got, skipped
			}
			time.Sleep(pause)
		}
	}
	for name, tc := range map[string]struct {
		caughtUp bool
		pause    time.Duration
		all      bool
	}{
		"slow":      {false, stallTimeout / 2, true},
		"stalled":   {false, 2 * stallTimeout, false},
		"caught up": {true, stallTimeout / 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got, skipped := read(t, tc.caughtUp, tc.pause); got+skipped != lines || (skipped == 0) != tc.all {
					t.Errorf("got %d lines and %d skipped", got, skipped)
				}
			})
		})
	}
}

// TestFanout_PreferTimes checks that the lines of a viewer who prefers times are not joined.
func TestFanout_PreferTimes(t *testing.T) {
	for prefers, want := range map[bool]int{true: 3, false: 1} {
		synctest.Test(t, func(t *testing.T) {
			f, s := new(Fanout), newSource()
			q := backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, Follow: true, PreferTimes: prefers}
			v := newTestViewerWithQuery(f, s, q)
			s.chunks <- backends.LogChunk{CaughtUp: true}
			synctest.Wait() // the viewer has the first chunk, and the others are read together
			for i := range 3 {
				s.chunks <- backends.LogChunk{Time: time.Unix(int64(i), 0), Data: []byte("x\n")}
			}
			close(s.chunks)
			synctest.Wait()
			<-v.got
			var got []backends.LogChunk
			for len(v.ended) == 0 {
				select {
				case c := <-v.got:
					got = append(got, c)
				case <-time.After(time.Second):
				}
			}
			if len(got) != want || prefers && !got[1].Time.Equal(time.Unix(1, 0)) {
				t.Errorf("prefers times %v: got %v", prefers, got)
			}
		})
	}
}
