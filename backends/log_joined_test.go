package backends

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// container is the log of a container: some lines of what a task has written.
type container struct {
	lines   []string // "o " or "e " and the text
	rotated bool
	err     error
}

var began = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func (c container) Log(ctx context.Context, _ Place, q LogQuery, each func(Piece) error) error {
	if c.err != nil {
		return c.err
	}
	held := HeldLog{Rotated: c.rotated}
	var pieces []Piece
	for i, line := range c.lines {
		p := Piece{Stderr: line[0] == 'e', Data: []byte(line[2:] + "\n"), Time: began.Add(time.Duration(i) * time.Second)}
		o := &held.Outputs[p.Output()]
		o.Bytes += int64(len(p.Data))
		o.Lines++
		o.Head = append(o.Head, p.Data...)
		pieces = append(pieces, p)
	}
	if len(pieces) > 0 {
		held.Start = began
	}
	if q.Older != nil && (q.Survey || q.Lines < 0 || len(pieces) < q.Lines) {
		if err := q.Older(ctx, held); err != nil {
			return err
		}
	}
	for _, p := range pieces {
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}

// files are the two logs in files: all that a task has written, of all runs.
type files struct {
	stdout, stderr string
	err            error
}

func (f files) Log(_ context.Context, _ Place, q LogQuery, each func(Piece) error) error {
	switch {
	case f.err != nil:
		return f.err
	case q.OfContainers():
		return ErrNoTimes
	}
	for i, text := range []string{f.stdout, f.stderr} {
		if text != "" {
			if err := each(Piece{Stderr: i == 1, Data: []byte(text)}); err != nil {
				return err
			}
		}
	}
	return nil
}

type other struct{}

func (other) Error() string        { return "other" }
func (other) Is(target error) bool { return target == ErrOtherLog }
func (other) FilesHoldMore() bool  { return true }

func (f files) LogBefore(_ context.Context, _ Place, newest [2]HeldOutput, _ LogQuery, each func(Piece) error) error {
	if f.err != nil {
		return f.err
	}
	for i, text := range []string{f.stdout, f.stderr} {
		at := strings.LastIndex(text, string(newest[i].Head))
		if at < 0 || newest[i].Final && at+int(newest[i].Bytes) < len(text) {
			return other{}
		}
		if newest[i].Whole && at > 0 && strings.HasPrefix(text, string(newest[i].Head)) && len(newest[i].Head) > 0 {
			continue
		}
		if at > 0 {
			if err := each(Piece{Stderr: i == 1, Data: []byte(text[:at])}); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestJoinedLog(t *testing.T) {
	const since = "lines from before 2026-11-30T12:00:00Z are read from Nomad's files"
	damaged := errors.New("the docker daemon of node n cannot read the log: unexpected EOF")
	for name, tc := range map[string]struct {
		container container
		files     files
		restarts  int
		change    func(*LogQuery)
		want      string // <note>, then the text
		err       error
	}{
		"complete":           {container{lines: []string{"o 1", "e 2"}}, files{stdout: "1\n", stderr: "2\n"}, 0, nil, "1\n2\n", nil},
		"rotated":            {container{lines: []string{"o 3", "e 4"}, rotated: true}, files{stdout: "1\n3\n", stderr: "2\n4\n"}, 0, nil, "<" + since + ": stdout first, then stderr>1\n2\n3\n4\n", nil},
		"rotated, times":     {container{lines: []string{"o 3"}, rotated: true}, files{stdout: "1\n3\n"}, 0, func(q *LogQuery) { q.Times = true }, "<" + since + ", which hold no times: stdout first, then stderr>1\n3\n", nil},
		"rotated, since":     {container{lines: []string{"o 3"}, rotated: true}, files{stdout: "1\n3\n"}, 1, func(q *LogQuery) { q.Since = began.Add(-time.Hour) }, "<" + since + ", which hold no times: some may be older than --since>1\n3\n", nil},
		"rotated everywhere": {container{lines: []string{"o 3"}, rotated: true}, files{err: other{}}, 1, nil, "<the log starts at 2026-11-30T12:00:00Z: older lines may have been rotated away, and Nomad's files do not help: other>3\n", nil},
		"no right to files":  {container{lines: []string{"o 3"}, rotated: true}, files{err: ErrForbidden}, 0, nil, "<the log starts at 2026-11-30T12:00:00Z: older lines may have been rotated away, and Nomad's files do not help: " + ErrForbidden.Error() + ">3\n", nil},
		"earlier runs":       {container{lines: []string{"o 3"}}, files{stdout: "1\n3\n"}, 1, nil, "3\n", nil},
		"emptied":            {container{}, files{stdout: "1\n", stderr: "2\n"}, 0, nil, "<the container's log is empty: reading Nomad's files, which hold no times>1\n2\n", nil},
		"cut at the start":   {container{lines: []string{"o 3"}}, files{stdout: "1\n3\n"}, 0, nil, "<the container's log is damaged or was truncated: " + since + ">1\n3\n", nil},
		"twice in files":     {container{lines: []string{"o 1", "o 3"}}, files{stdout: "1\n3\n1\n3\n"}, 0, nil, "1\n3\n", nil},
		"breaks off":         {container{lines: []string{"o 1"}}, files{stdout: "1\n3\n"}, 0, nil, "<the log of the container and Nomad's files differ, and the files hold more: reading the files>1\n3\n", nil},
		"unreadable":         {container{err: damaged}, files{stdout: "1\n"}, 0, nil, "<" + damaged.Error() + ": reading Nomad's files>1\n", nil},
		"unreadable, times":  {container{err: damaged}, files{stdout: "1\n"}, 0, func(q *LogQuery) { q.Times = true }, "", damaged},
		"unreadable, since":  {container{err: damaged}, files{stdout: "1\n"}, 0, func(q *LogQuery) { q.Since = began }, "<" + damaged.Error() + ": reading Nomad's files, which hold no times: what is older than --since is shown too>1\n", nil},
		"no container":       {container{err: ErrNoLog}, files{stdout: "1\n"}, 0, nil, "1\n", nil},
		"no daemon":          {container{err: ErrUnreachable}, files{stdout: "1\n"}, 0, nil, "", ErrUnreachable},
		"driver none":        {container{err: ErrNeverLog}, files{}, 0, nil, "", ErrNeverLog},
		"driver none, tail":  {container{err: ErrNeverLog}, files{}, 0, func(q *LogQuery) { q.Follow = true }, "", ErrNeverLog},
	} {
		q := LogQuery{Stdout: true, Stderr: true, Lines: -1}
		if tc.change != nil {
			tc.change(&q)
		}
		in := Place{Task: "t", Allocation: Allocation{Tasks: []Task{{Name: "t", State: "running", Restarts: tc.restarts, Started: began}}}}
		var got strings.Builder
		err := JoinedLog{tc.container, tc.files}.Log(t.Context(), in, q, func(p Piece) error {
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

// TestJoinedLog_WithoutFiles says where the log starts, if that may not be its start.
func TestJoinedLog_WithoutFiles(t *testing.T) {
	for _, rotated := range []bool{false, true} {
		note := ""
		err := JoinedLog{Container: container{lines: []string{"o 3"}, rotated: rotated}}.Log(t.Context(), Place{}, LogQuery{Stdout: true, Lines: -1}, func(p Piece) error {
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

func TestJoinedLog_Previous(t *testing.T) {
	for name, tc := range map[string]struct {
		container container
		state     string
		want      string
		err       error
	}{
		"running":          {container{lines: []string{"o 3", "e 4"}}, "running", "1\n2\n", nil},
		"between two runs": {container{err: ErrNoLog}, "pending", "1\n3\n2\n4\n", nil},
		"finished":         {container{err: ErrNoLog}, "dead", "", ErrOneLog},
		"out of reach":     {container{err: ErrUnreachable}, "running", "", ErrUnreachable},
	} {
		in := Place{Task: "t", Allocation: Allocation{Tasks: []Task{{Name: "t", State: tc.state, Restarts: 1}}}}
		var got strings.Builder
		err := JoinedLog{tc.container, files{stdout: "1\n3\n", stderr: "2\n4\n"}}.Previous(t.Context(), in, LogQuery{Stdout: true, Stderr: true, Lines: 100}, func(p Piece) error {
			got.Write(p.Data)
			return nil
		})
		if got.String() != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", name, got.String(), err, tc.want, tc.err)
		}
	}
	only := JoinedLog{Container: container{lines: []string{"o 3"}}}
	if err := only.Previous(t.Context(), Place{}, LogQuery{Lines: 1}, nil); !errors.Is(err, ErrOneLog) {
		t.Errorf("without files: got %v", err)
	}
	rotated := JoinedLog{container{lines: []string{"o 3"}, rotated: true}, files{}}
	if err := rotated.Previous(t.Context(), Place{}, LogQuery{Lines: 1}, nil); err == nil || !strings.Contains(err.Error(), "logs -n all") {
		t.Errorf("rotated: got %v", err)
	}
}
