package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
)

func TestStartPart(t *testing.T) {
	parts := []logPart{{3, 10}, {4, 10}, {6, 5}}
	for _, tc := range []struct {
		index  int
		offset int64
		part   int
		from   int64
	}{
		{0, 0, 3, 0},
		{0, 10, 3, 10},
		{0, 11, 4, 1},
		{0, 99, 6, 5},
		{5, 0, 6, 0},
		{9, 2, 6, 2},
		{9, -5, 6, 0},
		{9, -6, 4, 9},
		{9, -99, 3, 0},
		{0, -4, 3, 6},
	} {
		if part, from := startPart(parts, tc.index, tc.offset); part != tc.part || from != tc.from {
			t.Errorf("index %d, offset %d: got %d, %d, want %d, %d", tc.index, tc.offset, part, from, tc.part, tc.from)
		}
	}
}

// TestLogReader_FollowsInSimulatedTime writes a line while the log is followed.
func TestLogReader_FollowsInSimulatedTime(t *testing.T) {
	d := &AllocDir{path: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(d.path, logDir), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(d.path, logDir, "t.stdout.0")
	if err := os.WriteFile(file, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		flushed := 0
		q := &LogQuery{Task: "t", Stream: "stdout", Follow: true}
		r := NewLogReader(ctx, d, q, &out, func() error {
			if flushed++; flushed == 1 {
				return os.WriteFile(file, []byte("first\nsecond\n"), 0o600)
			}
			if bytes.Count(out.Bytes(), []byte("Data")) == 2 {
				cancel()
			}
			return nil
		})
		if err := r.Read(); err != nil {
			t.Fatal(err)
		}
		var text []byte
		for frames := json.NewDecoder(&out); ; {
			var f logFrame
			if frames.Decode(&f) != nil {
				break
			}
			text = append(text, f.Data...)
		}
		if string(text) != "first\nsecond\n" {
			t.Errorf("got %q, want both lines", text)
		}
	})
}
