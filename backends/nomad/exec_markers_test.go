package nomad

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// filterResult is the result of a markerFilter.
type filterResult struct {
	out   bytes.Buffer
	state byte
	pid   string
	code  int
}

func filterMarkers(chunks ...string) *filterResult {
	r := &filterResult{code: -1}
	s := newMarkerFilter(&r.out, "mark")
	s.onStart = func(state byte, pid string) { r.state, r.pid = state, pid }
	s.onEnd = func(code int) { r.code = code }
	for _, chunk := range chunks {
		s.Write([]byte(chunk))
	}
	s.flush()
	return r
}

func TestMarkerFilter_SplitMarkers(t *testing.T) {
	const start, end = "\x01mark:R4711\x02", "\x01mark:E137\x02"
	for _, output := range []string{
		"", "hi\n", "\x01", "\x01\x01", "\x01mar", "\x01mark", "a\x01mark\x02b", "\x01mark;E1\x02", "\x02", "mark:E1\x02",
		"\x01mark:" + strings.Repeat("x", 30),
		"\x01m\x01ma\x01mar\x01mark\x01", strings.Repeat("\x01mark", 5),
	} {
		text := "sh: noise\n" + start + output + end + "of a child"
		check := func(how string, r *filterResult) {
			t.Helper()
			if r.out.String() != output || r.state != 'R' || r.pid != "4711" || r.code != 137 {
				t.Errorf("%q %s: got %q, %q, %q, %d", output, how, r.out.String(), r.state, r.pid, r.code)
			}
		}
		for i := range text {
			check(fmt.Sprintf("split at %d", i), filterMarkers(text[:i], text[i:]))
			for j := i; j < len(text); j++ {
				check(fmt.Sprintf("split at %d and %d", i, j), filterMarkers(text[:i], text[i:j], text[j:]))
			}
		}
		check("byte by byte", filterMarkers(strings.Split(text, "")...))
		if r := filterMarkers(start + output); r.out.String() != output || r.code != -1 {
			t.Errorf("%q without an end marker: got %q, %d", output, r.out.String(), r.code)
		}
	}
}

func TestMarkerFilter_NotStarted(t *testing.T) {
	r := filterMarkers("noise", "\x01mark:N\x02", "noise", "\x01mark:E127\x02")
	if r.out.Len() > 0 || r.state != 'N' {
		t.Errorf("got %q, %q", r.out.String(), r.state)
	}
}

// A program may wait for a response to its last byte, even if that byte looks like a marker.
func TestMarkerFilter_PartialMarkerTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &limitedBuffer{}
		s := newMarkerFilter(out, "mark")
		var code int
		s.onEnd = func(c int) { code = c }
		s.Write([]byte("\x01mark:R1\x02"))
		for _, c := range []struct{ chunk, before, after string }{
			{"prompt\x01", "prompt", "prompt\x01"},
			{"\x01ma", "prompt\x01", "prompt\x01\x01ma"},
			{"x\x01", "prompt\x01\x01max", "prompt\x01\x01max\x01"},
		} {
			s.Write([]byte(c.chunk))
			time.Sleep(markerTimeout - time.Millisecond)
			before := out.String()
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if after := out.String(); before != c.before || after != c.after {
				t.Errorf("%q: got %q before the timeout and %q after it, want %q and %q", c.chunk, before, after, c.before, c.after)
			}
		}
		s.Write([]byte("mark:E5\x02"))
		if out.String() != "prompt\x01\x01max\x01" || code != 5 {
			t.Errorf("got %q, %d", out.String(), code)
		}
	})
}
