package logjoin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
)

// fakeContainerLog is the log of a container.
type fakeContainerLog struct {
	lines   []string // "o " (stdout) or "e " (stderr), and the text
	rotated bool
	err     error
}

var logStart = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func (c fakeContainerLog) Log(
	ctx context.Context, _ backends.TaskRef, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	if c.err != nil {
		return c.err
	}
	retained := backends.RetainedLog{Rotated: c.rotated}
	var chunks []backends.LogChunk
	for i, line := range c.lines {
		p := backends.LogChunk{
			Stderr: line[0] == 'e', Data: []byte(line[2:] + "\n"),
			Time: logStart.Add(time.Duration(i) * time.Second),
		}
		o := &retained.Outputs[p.OutputIndex()]
		o.Bytes += int64(len(p.Data))
		o.Lines++
		o.Head = append(o.Head, p.Data...)
		chunks = append(chunks, p)
	}
	if len(chunks) > 0 {
		retained.Start = logStart
	}
	if q.OnRetained != nil && (q.ScanAll || q.Lines < 0 || len(chunks) < q.Lines) {
		if err := q.OnRetained(ctx, retained); err != nil {
			return err
		}
	}
	for _, p := range chunks {
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}

// fakeFiles are Nomad's log files, with all runs of a task.
type fakeFiles struct {
	stdout, stderr string
	err            error
}

func (f fakeFiles) Log(
	_ context.Context, _ backends.TaskRef, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	switch {
	case f.err != nil:
		return f.err
	case q.NeedsContainer():
		return backends.ErrNoTimestamps
	}
	for i, text := range []string{f.stdout, f.stderr} {
		if text != "" {
			if err := each(backends.LogChunk{Stderr: i == 1, Data: []byte(text)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f fakeFiles) LogBefore(
	_ context.Context, _ backends.TaskRef, newest [2]backends.RetainedOutput, _ backends.LogQuery,
	each func(backends.LogChunk) error,
) error {
	if f.err != nil {
		return f.err
	}
	for i, text := range []string{f.stdout, f.stderr} {
		at := strings.LastIndex(text, string(newest[i].Head))
		if at < 0 || newest[i].HasEnd && at+int(newest[i].Bytes) < len(text) {
			return &backends.MismatchError{FilesContainMore: true}
		}
		if newest[i].HasStart && at > 0 && strings.HasPrefix(text, string(newest[i].Head)) && len(newest[i].Head) > 0 {
			continue
		}
		if at > 0 {
			if err := each(backends.LogChunk{Stderr: i == 1, Data: []byte(text[:at])}); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestSource(t *testing.T) {
	const boundary = "lines before 2026-11-30T12:00:00Z come from Nomad's log files"
	const olderLost = "older lines may have been rotated away, and Nomad's log files cannot be used: "
	damaged := errors.New("the docker daemon of node n cannot read the log: unexpected EOF")
	for name, tc := range map[string]struct {
		container fakeContainerLog
		files     fakeFiles
		restarts  int
		change    func(*backends.LogQuery)
		want      string // <note> and the text
		err       error
	}{
		"complete": {
			fakeContainerLog{lines: []string{"o 1", "e 2"}},
			fakeFiles{stdout: "1\n", stderr: "2\n"},
			0,
			nil, "1\n2\n", nil,
		},
		"rotated": {
			fakeContainerLog{lines: []string{"o 3", "e 4"}, rotated: true},
			fakeFiles{stdout: "1\n3\n", stderr: "2\n4\n"},
			0, nil, "<" + boundary + ": stdout first, then stderr>1\n2\n3\n4\n",
			nil,
		},
		"rotated, times": {
			fakeContainerLog{lines: []string{"o 3"}, rotated: true},
			fakeFiles{stdout: "1\n3\n"},
			0,
			func(q *backends.LogQuery) { q.Timestamps = true },
			"<" + boundary + ", which have no timestamps: stdout first, then stderr>1\n3\n", nil,
		},
		"rotated, since": {
			fakeContainerLog{lines: []string{"o 3"}, rotated: true},
			fakeFiles{stdout: "1\n3\n"},
			1,
			func(q *backends.LogQuery) { q.Since = logStart.Add(-time.Hour) },
			"<" + boundary + ", which have no timestamps: some may be older than --since>1\n3\n", nil,
		},
		"rotated everywhere": {
			fakeContainerLog{lines: []string{"o 3"}, rotated: true},
			fakeFiles{err: &backends.MismatchError{FilesContainMore: true}},
			1,
			nil, "<the log starts at 2026-11-30T12:00:00Z: " + olderLost + backends.ErrLogMismatch.Error() + ">3\n", nil,
		},
		"files forbidden": {
			fakeContainerLog{lines: []string{"o 3"}, rotated: true},
			fakeFiles{err: backends.ErrForbidden},
			0,
			nil, "<the log starts at 2026-11-30T12:00:00Z: " + olderLost + backends.ErrForbidden.Error() + ">3\n", nil,
		},
		"earlier runs": {fakeContainerLog{lines: []string{"o 3"}}, fakeFiles{stdout: "1\n3\n"}, 1, nil, "3\n", nil},
		"emptied": {
			fakeContainerLog{},
			fakeFiles{stdout: "1\n", stderr: "2\n"},
			0, nil,
			"<the container's log is empty: reading Nomad's log files, which have no timestamps>1\n2\n", nil,
		},
		"cut at the start": {
			fakeContainerLog{lines: []string{"o 3"}},
			fakeFiles{stdout: "1\n3\n"},
			0, nil,
			"<the container's log is damaged or was truncated: " + boundary + ">1\n3\n", nil,
		},
		"twice in files": {
			fakeContainerLog{lines: []string{"o 1", "o 3"}},
			fakeFiles{stdout: "1\n3\n1\n3\n"},
			0, nil,
			"1\n3\n", nil,
		},
		"ends early": {
			fakeContainerLog{lines: []string{"o 1"}},
			fakeFiles{stdout: "1\n3\n"},
			0, nil,
			"<the container's log and Nomad's log files differ, and the files contain more: reading the files>1\n3\n", nil,
		},
		"unreadable": {
			fakeContainerLog{err: damaged},
			fakeFiles{stdout: "1\n"},
			0, nil,
			"<" + damaged.Error() + ": reading Nomad's log files>1\n", nil,
		},
		"unreadable, times": {
			fakeContainerLog{err: damaged},
			fakeFiles{stdout: "1\n"},
			0,
			func(q *backends.LogQuery) { q.Timestamps = true }, "", damaged,
		},
		"unreadable, since": {
			fakeContainerLog{err: damaged},
			fakeFiles{stdout: "1\n"},
			0,
			func(q *backends.LogQuery) { q.Since = logStart },
			"<" + damaged.Error() + ": reading Nomad's log files, which have no timestamps: " +
				"lines older than --since are shown as well>1\n", nil,
		},
		"no container": {fakeContainerLog{err: backends.ErrNoLog}, fakeFiles{stdout: "1\n"}, 0, nil, "1\n", nil},
		"no daemon": {
			fakeContainerLog{err: backends.ErrUnreachable},
			fakeFiles{stdout: "1\n"},
			0, nil, "", backends.ErrUnreachable,
		},
		"driver none": {fakeContainerLog{err: backends.ErrLogNotStored}, fakeFiles{}, 0, nil, "", backends.ErrLogNotStored},
		"driver none, tail": {
			fakeContainerLog{err: backends.ErrLogNotStored},
			fakeFiles{},
			0, func(q *backends.LogQuery) { q.Follow = true },
			"", backends.ErrLogNotStored,
		},
	} {
		q := backends.LogQuery{Stdout: true, Stderr: true, Lines: -1}
		if tc.change != nil {
			tc.change(&q)
		}
		in := backends.TaskRef{
			Task: "t",
			Allocation: backends.Allocation{Tasks: []backends.Task{
				{Name: "t", State: "running", Restarts: tc.restarts, Started: logStart},
			}},
		}
		var got strings.Builder
		err := Source{tc.container, tc.files}.Log(t.Context(), in, q, func(p backends.LogChunk) error {
			if p.Note != "" {
				got.WriteString("<" + p.Note + ">")
			}
			got.Write(p.Data)
			return nil
		})
		if got.String() != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", name, got.String(), err, tc.want, tc.err)
		}
	}
}

// TestSource_WithoutFiles checks the note about a rotated log.
func TestSource_WithoutFiles(t *testing.T) {
	for _, rotated := range []bool{false, true} {
		note := ""
		log := Source{Container: fakeContainerLog{lines: []string{"o 3"}, rotated: rotated}}
		err := log.Log(t.Context(), backends.TaskRef{}, backends.LogQuery{Stdout: true, Lines: -1},
			func(p backends.LogChunk) error {
				note += p.Note
				return nil
			})
		want := ""
		if rotated {
			want = "the log starts at 2026-11-30T12:00:00Z: older lines may have been rotated away"
		}
		if note != want || err != nil {
			t.Errorf("rotated %v: got %q, %v", rotated, note, err)
		}
	}
}

func TestSource_Previous(t *testing.T) {
	for name, tc := range map[string]struct {
		container fakeContainerLog
		state     string
		want      string
		err       error
	}{
		"running":          {fakeContainerLog{lines: []string{"o 3", "e 4"}}, "running", "1\n2\n", nil},
		"between two runs": {fakeContainerLog{err: backends.ErrNoLog}, "pending", "1\n3\n2\n4\n", nil},
		"finished":         {fakeContainerLog{err: backends.ErrNoLog}, "dead", "", backends.ErrRunsNotSeparable},
		"unreachable":      {fakeContainerLog{err: backends.ErrUnreachable}, "running", "", backends.ErrUnreachable},
	} {
		in := backends.TaskRef{
			Task:       "t",
			Allocation: backends.Allocation{Tasks: []backends.Task{{Name: "t", State: tc.state, Restarts: 1}}},
		}
		var got strings.Builder
		err := Source{tc.container, fakeFiles{stdout: "1\n3\n", stderr: "2\n4\n"}}.Previous(t.Context(), in,
			backends.LogQuery{Stdout: true, Stderr: true, Lines: 100}, func(p backends.LogChunk) error {
				got.Write(p.Data)
				return nil
			})
		if got.String() != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", name, got.String(), err, tc.want, tc.err)
		}
	}
	only := Source{Container: fakeContainerLog{lines: []string{"o 3"}}}
	err := only.Previous(t.Context(), backends.TaskRef{}, backends.LogQuery{Lines: 1}, nil)
	if !errors.Is(err, backends.ErrRunsNotSeparable) {
		t.Errorf("without files: got %v", err)
	}
	rotated := Source{fakeContainerLog{lines: []string{"o 3"}, rotated: true}, fakeFiles{}}
	if err := rotated.Previous(t.Context(), backends.TaskRef{}, backends.LogQuery{Lines: 1}, nil); err == nil ||
		!strings.Contains(err.Error(), "logs -n all") {
		t.Errorf("rotated: got %v", err)
	}
}

// TestSource_Until checks that a log whose older lines have no times is refused if some of them may be too new.
func TestSource_Until(t *testing.T) {
	for name, tc := range map[string]struct {
		until   time.Time
		refused bool
	}{
		"in the container's log": {logStart.Add(time.Second), false},
		"in the files":           {logStart.Add(-time.Second), true},
	} {
		source := Source{
			Container: fakeContainerLog{lines: []string{"o 2", "o 3"}, rotated: true},
			Files:     fakeFiles{stdout: "1\n2\n3\n"},
		}
		q := backends.LogQuery{Stdout: true, Stderr: true, Lines: -1, Until: tc.until}
		err := source.Log(t.Context(), backends.TaskRef{}, q, func(backends.LogChunk) error { return nil })
		if refused := errors.Is(err, backends.ErrNoTimestamps); refused != tc.refused || !refused && err != nil {
			t.Errorf("%s: got %v, want it refused: %v", name, err, tc.refused)
		}
	}
}
