package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nomadctld/backends"
	"nomadctld/router"
)

// fakeLog has the outputs of the current and of the previous run of a task.
type fakeLog struct {
	stdout, stderr, previousStderr string
	previousErr, err               error
}

func (f fakeLog) Log(_ context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	text := f.stdout
	if q.Stderr {
		text = f.stderr
	}
	return sendChunks(text, each, f.err)
}

func (f fakeLog) PreviousLog(_ context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	text := ""
	if q.Stderr {
		text = f.previousStderr
	}
	return sendChunks(text, each, f.previousErr)
}

func sendChunks(text string, each func(backends.LogChunk) error, err error) error {
	for chunk := range slices.Chunk([]byte(text), 1000) {
		if err := each(backends.LogChunk{Data: chunk}); err != nil {
			return err
		}
	}
	return err
}

func TestReadExcerpt(t *testing.T) {
	numbers := ""
	for i := range 20 {
		numbers += fmt.Sprintf("line %d\n\n", i)
	}
	for name, tc := range map[string]struct {
		log      fakeLog
		state    string
		restarts int
		want     string
	}{
		"stderr": {fakeLog{stderr: "panic: x  \r\n\n\tat y\n", stdout: "hello\n"}, "dead", 0, "Stderr panic: x|\tat y"},
		"the last lines": {
			fakeLog{stderr: numbers}, "dead", 0, "Stderr line 15|line 16|line 17|line 18|line 19",
		},
		"stdout":                  {fakeLog{stdout: "hello"}, "dead", 0, "Stdout hello"},
		"nothing":                 {fakeLog{}, "dead", 1, " "},
		"running again":           {fakeLog{stderr: "new\n", previousStderr: "old\n"}, "running", 1, "Stderr previous: old"},
		"waits for its restart":   {fakeLog{stderr: "new\n", previousStderr: "old\n"}, "pending", 1, "Stderr new"},
		"has just been restarted": {fakeLog{stdout: "new\n", previousStderr: "old\n"}, "pending", 1, "Stderr previous: old"},
		"runs not separable": {
			fakeLog{stderr: "all\n", previousErr: backends.ErrRunsNotSeparable}, "running", 1, "Stderr all",
		},
		"previous unreadable": {
			fakeLog{stderr: "new\n", previousErr: errors.New("timeout")}, "running", 1, "Stderr previous: failed",
		},
		"unreadable": {fakeLog{err: errors.New("timeout")}, "dead", 0, "Stderr failed"},
		"a very long line": {
			fakeLog{stderr: strings.Repeat("x", 5000) + "y\n"},
			"dead", 0,
			"Stderr …" + strings.Repeat("x", maxExcerptBytes-2) + "y",
		},
	} {
		task := crashedTask{backends.Allocation{Status: "running"}, backends.Task{State: tc.state, Restarts: tc.restarts}}
		got := readExcerpt(t.Context(), tc.log, task)
		text := got.Output + " "
		if got.Previous {
			text += "previous: "
		}
		text += strings.Join(got.Lines, "|")
		if got.Failed {
			text += "failed"
		}
		if text != tc.want {
			t.Errorf("%s: got %.200q, want %.200q", name, text, tc.want)
		}
	}
}

// TestReadExcerpts_Denied checks that nothing is read for a user who may not read logs.
func TestReadExcerpts_Denied(t *testing.T) {
	tasks := []crashedTask{{task: backends.Task{ExecID: "a"}}, {task: backends.Task{ExecID: "b"}}}
	got := readExcerpts(t.Context(), tasks, func(task crashedTask) router.LogReader {
		if task.task.ExecID == "a" {
			return nil
		}
		return fakeLog{stderr: "secret"}
	})
	if len(got) != 1 || got["b"].Lines[0] != "secret" {
		t.Errorf("got %v, want only the lines of b", got)
	}
}

func TestReadExcerpts_ManyTasks(t *testing.T) {
	var tasks []crashedTask
	for i := range maxExcerpts + 2 {
		tasks = append(tasks, crashedTask{task: backends.Task{ExecID: fmt.Sprint(i)}})
	}
	got := readExcerpts(t.Context(), tasks, func(crashedTask) router.LogReader { return fakeLog{stderr: "text"} })
	for i, task := range tasks {
		e := got[task.task.ExecID]
		if read := len(e.Lines) == 1 && !e.Unread; read != (i < maxExcerpts) || e.Failed {
			t.Errorf("task %d: got %+v", i, e)
		}
	}
	view := recordedJob(t, "p-crash")
	id := view.allocations[0].Tasks[0].ExecID
	view.excerpts = map[string]logExcerpt{id: {Unread: true}}
	if text := view.text(testStyle(80)); !strings.Contains(text, "Log       see: logs "+id+"\n") {
		t.Errorf("got\n%s", text)
	}
}

// TestInfo_ExcerptHint checks that info names the command that prints the whole log of the excerpt.
func TestInfo_ExcerptHint(t *testing.T) {
	view := recordedJob(t, "p-crash")
	id := view.allocations[0].Tasks[0].ExecID
	for want, excerpt := range map[string]logExcerpt{
		"see: logs " + id:                                     {Output: "Stderr", Lines: []string{"x"}},
		"see: logs --previous " + id:                          {Output: "Stderr", Lines: []string{"x"}, Previous: true},
		"could not be read (see: logs " + id + ")":            {Output: "Stderr", Failed: true},
		"could not be read (see: logs --previous " + id + ")": {Output: "Stderr", Failed: true, Previous: true},
	} {
		view.excerpts = map[string]logExcerpt{id: excerpt}
		if text := view.text(testStyle(80)); !strings.Contains(text, "  Log       "+want+"\n") {
			t.Errorf("want %s, got\n%s", want, text)
		}
	}
}

func TestInfo_CrashedTasks(t *testing.T) {
	var got []string
	for _, id := range []string{"p-crash", "p-prestart", "p-lifecycle", "p-stopped", "p-sysbatch", "p-image", "p-oom"} {
		for _, task := range recordedJob(t, id).crashedTasks() {
			got = append(got, id+"/"+task.task.Name)
		}
	}
	want := []string{"p-crash/app", "p-prestart/migrate", "p-lifecycle/proxy", "p-lifecycle/app", "p-oom/app"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInfo_ExcerptsAreEscapedAndBounded(t *testing.T) {
	view := recordedJob(t, "p-crash")
	id := view.allocations[0].Tasks[0].ExecID
	view.excerpts = map[string]logExcerpt{id: {Output: "Stderr", Lines: []string{"\x1b[31mred"}}}
	if got := view.text(testStyle(80)); strings.Contains(got, "\x1b") || !strings.Contains(got, `\x1b[31mred`) {
		t.Errorf("got %q", got)
	}
	view.excerpts = map[string]logExcerpt{id: {Output: "Stderr", Failed: true}}
	want := "Log       could not be read (see: logs " + id + ")"
	if got := view.text(testStyle(80)); !strings.Contains(got, want) {
		t.Errorf("got\n%s", got)
	}
}
