package docker

import (
	"strings"
	"testing"

	"nomadctld/backends"
)

func TestLogStored_MinRotatedSize(t *testing.T) {
	for _, tc := range []struct {
		driver, size, files string
		want                int64
	}{
		{"json-file", "", "", -1},
		{"json-file", "-1", "5", -1},
		{"json-file", "2m", "2", 2_000_000}, // the default of Nomad's driver
		{"json-file", "10k", "", 0},
		{"json-file", "1.5M", "3", 3_000_000},
		{"json-file", "100", "2", 100},
		{"json-file", "20 kb", "2", 20_000},
		{"json-file", "much", "2", 0},
		{"local", "", "", 80_000_000},
		{"journald", "", "", 0},
	} {
		l := new(logReader)
		l.container.HostConfig.LogConfig.Type = tc.driver
		l.container.HostConfig.LogConfig.Config = map[string]string{"max-size": tc.size, "max-file": tc.files}
		if got := l.minRotatedSize(); got != tc.want {
			t.Errorf("%s %q x %q: got %d, want %d", tc.driver, tc.size, tc.files, got, tc.want)
		}
	}
}

func TestLogStored_MemoryBounded(t *testing.T) {
	var h storedLog
	text := strings.Repeat("0123456\n", 1000)
	for range 3 {
		h.add(backends.LogChunk{Stderr: true, Data: []byte(text)}, true)
	}
	o := h.outputs[1]
	if o.Bytes != 24_000 || o.Lines != 3000 || string(o.Head) != text[:maxHead] || string(o.Tail) != text[:maxTail] ||
		h.entries != 3 || h.size != 27_000 {
		t.Errorf("got %d bytes, %d lines, a head of %d, a tail of %d, %d entries, size %d", o.Bytes, o.Lines,
			len(o.Head), len(o.Tail), h.entries, h.size)
	}
}
