package nomad

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv/nomadtest"
)

// TestLogBefore has a task whose log files contain 20,000 lines of stdout, and another source with the newest lines.
func TestLogBefore(t *testing.T) {
	t.Parallel()
	cluster := nomadtest.Simulated(t)
	const total = 20_000
	lines := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "line %d\n", i)
		}
		return b.String()
	}
	id := "0c1f7bc2-58ff-4b6c-9a0e-5a7d0a9cf0a1"
	run := func(files int) {
		cluster.Sim.AddJob(nomadsim.Job{ID: "p-team1-files", Groups: []nomadsim.Group{{
			Name: "g", Tasks: []nomadsim.Task{{Name: "t", Driver: "docker", LogFileSize: 30_000, LogFiles: files}},
			Allocations: []nomadsim.Allocation{{ID: id, Node: "node-1"}},
		}}})
		cluster.Sim.Log(id, "t", "stdout", []byte(lines(0, total)))
		cluster.Sim.Log(id, "t", "stderr", []byte(strings.Repeat("same\n", 10_000)))
	}
	run(100)
	c := open(t, Tier{URL: cluster.URL, TokenFile: cluster.LimitedTokenFile(t, "read-logs", "read-job", "list-jobs")})
	in := backends.TaskRef{Task: "t", Allocation: backends.Allocation{ID: id, Namespace: "default"}}
	retained := func(text string) backends.RetainedOutput {
		return backends.RetainedOutput{
			Bytes: int64(len(text)), Lines: strings.Count(text, "\n"),
			Head: []byte(text[:min(len(text), 4096)]), Tail: []byte(text[max(0, len(text)-20):]),
		}
	}
	before := func(newest string, q backends.LogQuery, change func(*backends.RetainedOutput)) (string, string, error) {
		var out bytes.Buffer
		note := ""
		h := retained(newest)
		if change != nil {
			change(&h)
		}
		err := c.LogBefore(t.Context(), in, [2]backends.RetainedOutput{h, h}, q, func(p backends.LogChunk) error {
			out.Write(p.Data)
			note += p.Note
			return nil
		})
		return out.String(), note, err
	}
	stdout := backends.LogQuery{Stdout: true, Lines: -1}
	for name, tc := range map[string]struct {
		newest string
		lines  int
		want   string
		change func(*backends.RetainedOutput)
	}{
		"all":                       {lines(15_000, total), -1, lines(0, 15_000), nil},
		"some lines":                {lines(15_000, total), 7_000, lines(13_000, 15_000), nil},
		"enough lines":              {lines(15_000, total), 5_000, "", nil},
		"nothing before":            {lines(0, total), -1, "", nil},
		"nothing retained":          {"", -1, lines(0, total), nil},
		"the task has written more": {lines(15_000, 19_990), -1, lines(0, 15_000), nil},
		"newest line is the last one": {
			lines(15_000, total), -1, lines(0, 15_000),
			func(h *backends.RetainedOutput) { h.HasEnd = true },
		},
		"complete, and Nomad has duplicated lines": {
			lines(0, total-10), -1, "",
			func(h *backends.RetainedOutput) { h.HasStart = true },
		},
		"Nomad lost the middle": {
			"line 15000\nline lost\n" + lines(15_000, total), -1,
			lines(0, 15_000), nil,
		},
	} {
		q := stdout
		q.Lines = tc.lines
		got, note, err := before(tc.newest, q, tc.change)
		if got != tc.want || err != nil || note != "" {
			t.Errorf("%s: got %d bytes, %v, %q, want %d", name, len(got), err, note, len(tc.want))
		}
	}
	if got, _, err := before(strings.Repeat("same\n", 2_000), backends.LogQuery{Stderr: true, Lines: -1},
		nil); err != nil || got != strings.Repeat("same\n", 8_000) {
		t.Errorf("a log of equal lines: got %d bytes, %v", len(got), err)
	}
	for n, want := range map[int]string{10: "", 17: lines(19_987, 19_990) + strings.Repeat("same\n", 4)} {
		var out bytes.Buffer
		both := backends.LogQuery{Stdout: true, Stderr: true, Lines: n}
		newest := [2]backends.RetainedOutput{retained(lines(19_990, total)), retained("")}
		err := c.LogBefore(t.Context(), in, newest, both, func(p backends.LogChunk) error {
			out.Write(p.Data)
			return nil
		})
		if out.String() != want || err != nil {
			t.Errorf("last %d lines of both outputs: got %q, %v, want %q", n, &out, err, want)
		}
	}
	var mismatch *backends.MismatchError
	if _, _, err := before("nobody wrote this\n", stdout, nil); !errors.Is(err, backends.ErrLogMismatch) ||
		!errors.As(err, &mismatch) || !mismatch.FilesContainMore {
		t.Errorf("different log: got %v", err)
	}
	if _, _, err := before(lines(15_000, 19_000), stdout,
		func(h *backends.RetainedOutput) { h.HasEnd = true }); !errors.Is(err, backends.ErrLogMismatch) {
		t.Errorf("log that ends early: got %v", err)
	}
	old := stdout
	old.Since = time.Now().Add(time.Hour) // no file is that new, but without read-fs LogBefore cannot find out
	if got, _, err := before(lines(15_000, total), old, nil); err != nil || got != lines(0, 15_000) {
		t.Errorf("without read-fs: got %d bytes, %v", len(got), err)
	}

	id = "0c1f7bc2-58ff-4b6c-9a0e-5a7d0a9cf0a2"
	in.Allocation.ID = id
	run(3)
	got, note, err := before(lines(19_000, total), stdout, nil)
	if !strings.HasSuffix(lines(0, 19_000), got) || len(got) > 90_000 || len(got) < 30_000 || err != nil ||
		note != "the start of stdout is lost: Nomad has rotated it away" {
		t.Errorf("after a rotation: got %d bytes, %v, %q", len(got), err, note)
	}
	if got, err := readLog(t, c, in, stdout); err != nil || !strings.HasSuffix(lines(0, total), got) {
		t.Errorf("all of a rotated log: got %d bytes, %v", len(got), err)
	}
}
