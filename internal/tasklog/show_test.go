package tasklog

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"nomadctld/backends"
)

func TestShow_OneTask(t *testing.T) {
	task := newTask(0, backends.StateRunning)
	view, out := newView(jobOf("running", task), &task, map[string]*fakeLog{"e0": logOf(lines("one\ntw"))})
	if err := view.Show(t.Context(), Newest); err != nil {
		t.Error(err)
	}
	out.check(t, "one\ntw", "")
}

func TestShow_FinishedTask(t *testing.T) {
	task := newTask(0, backends.StateDead)
	view, out := newView(jobOf("dead", task), &task, map[string]*fakeLog{"e0": logOf(lines("one\n"))})
	if err := view.Show(t.Context(), Newest); err != nil {
		t.Error(err)
	}
	out.check(t, "one\n", "nomadctld: nginx of web.web[0] has finished at 1970-01-01T00:33:20Z with exit code 3\n")
}

// at returns a read that prints a line with a time.
func at(seconds int64, line string) readFunc {
	return chunk(backends.LogChunk{Data: []byte(line + "\n"), Time: time.Unix(seconds, 0)})
}

func TestShow_MergesByTime(t *testing.T) {
	logs := map[string]*fakeLog{
		"e0": logOf(steps(at(1, "a"), at(4, "d"), at(3, "order stays"))),
		"e1": logOf(steps(at(2, "b"), at(3, "c"), at(5, "e"))),
	}
	job := jobOf("running", newTask(0, backends.StateRunning), newTask(1, backends.StateRunning))
	view, out := newView(job, nil, logs)
	if err := view.Show(t.Context(), Newest); err != nil {
		t.Error(err)
	}
	out.check(t, "web[0]/nginx | a\nweb[1]/nginx | b\nweb[1]/nginx | c\nweb[0]/nginx | d\n"+
		"web[0]/nginx | order stays\nweb[1]/nginx | e\n", "")
	if !logs["e0"].queries[0].Timestamps {
		t.Error("read without timestamps")
	}
}

// TestShow_NoTimes checks a log that comes from Nomad's files. It is printed after the others. If the query selects by
// time, it is an error.
func TestShow_NoTimes(t *testing.T) {
	for name, tc := range map[string]struct {
		times          bool
		since          time.Time
		stdout, stderr string
		want           string // error
	}{
		"printed last": {stdout: "web[1]/nginx | b\nweb[0]/nginx | a\nweb[0]/nginx | c\n"},
		"with -t": {
			times:  true,
			stdout: "web[1]/nginx | 1970-01-01T00:00:02.000000000Z b\nweb[0]/nginx | a\nweb[0]/nginx | c\n",
			stderr: "nomadctld: lines without a time come from Nomad's files, which have no times\n",
		},
		"with --since": {
			since:  time.Unix(1, 0),
			stdout: "web[1]/nginx | b\n",
			want: "the log of nginx of web.web[0] comes from Nomad's files, which have no timestamps: " +
				"leave out --since and --until",
		},
	} {
		job := jobOf("running", newTask(0, backends.StateRunning), newTask(1, backends.StateRunning))
		view, out := newView(job, nil, map[string]*fakeLog{
			"e0": logOf(fails(backends.ErrNoTimestamps), lines("a\nc\n")), "e1": logOf(at(2, "b")),
		})
		view.Query.PreferTimes, view.Query.Since, view.Printer.Times = tc.times, tc.since, tc.times
		err := view.Show(t.Context(), Newest)
		if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
		out.check(t, tc.stdout, tc.stderr)
	}
}

// TestShow_WithoutLog checks that tasks without a log are noted in one line, and fail only if nothing can be read and
// the allocation was selected by its ID.
func TestShow_WithoutLog(t *testing.T) {
	pending := newTask(0, "pending")
	pending.Task.Events = nil
	for name, tc := range map[string]struct {
		logs           map[string]*fakeLog
		byID           bool
		since          time.Time
		stdout, stderr string
		want           string // error
	}{
		"some": {
			logs:   map[string]*fakeLog{"e0": logOf(fails(backends.ErrNoLog)), "e1": logOf(at(2, "b"))},
			stdout: "web[1]/nginx | b\n",
			stderr: "nomadctld: no log: web[0]/nginx: not started (pending: for 292y)\n",
		},
		"all": {
			logs: map[string]*fakeLog{"e0": logOf(fails(backends.ErrNoLog)), "e1": logOf(fails(backends.ErrLogDisabled))},
			stderr: "nomadctld: no log: web[0]/nginx: not started (pending: for 292y); " +
				"web[1]/nginx: the job disables logs for this task\n",
		},
		"not started, with --since": {
			logs: map[string]*fakeLog{
				"e0": logOf(fails(backends.ErrNoTimestamps)), "e1": logOf(fails(backends.ErrNoTimestamps)),
			},
			since:  time.Unix(1, 0),
			stderr: "nomadctld: no log: web[0]/nginx: not started (pending: for 292y)\n",
			want: "the log of nginx of web.web[1] comes from Nomad's files, which have no timestamps: " +
				"leave out --since and --until",
		},
		"of an allocation": {
			logs: map[string]*fakeLog{"e0": logOf(fails(backends.ErrNoLog))}, byID: true,
			want: "log of nginx of web.web[0]: log not found (see: info e0)",
		},
	} {
		job := jobOf("running", pending, newTask(1, backends.StateRunning))
		job.Allocations[1].Tasks[0].Started = time.Unix(1, 0)
		view, out := newView(job, nil, tc.logs)
		view.Query.Since = tc.since
		if tc.byID {
			view.Selected.Allocation = &job.Allocations[0]
		}
		err := view.Show(t.Context(), Newest)
		if (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
		out.check(t, tc.stdout, tc.stderr)
	}
}

func TestShow_OneFails(t *testing.T) {
	job := jobOf("running", newTask(0, backends.StateRunning), newTask(1, backends.StateRunning))
	view, out := newView(job, nil, map[string]*fakeLog{
		"e0": logOf(fails(errors.New("node is down"))), "e1": logOf(at(2, "b")),
	})
	if err := view.Show(t.Context(), Newest); err == nil || err.Error() != "log of nginx of web.web[0]: node is down" {
		t.Errorf("got %v", err)
	}
	out.check(t, "web[1]/nginx | b\n", "")
}

func TestShow_LinesMissing(t *testing.T) {
	task := newTask(0, backends.StateRunning)
	view, out := newView(jobOf("running", task), &task, map[string]*fakeLog{
		"e0": logOf(steps(chunk(backends.LogChunk{Lost: true}), lines("b\n"))),
	})
	if err := view.Show(t.Context(), Newest); err != ErrReported {
		t.Errorf("got %v, want ErrReported", err)
	}
	out.check(t, "b\n", "nomadctld: lines may be missing here: the log was rotated before they were read\n")
}

// TestShow_ManyLogs checks that at most maxMergedLogs logs, or maxMergedLongLogs long ones, are open at a time.
func TestShow_ManyLogs(t *testing.T) {
	for name, tc := range map[string]struct{ lines, logs, size int }{
		"short": {100, maxMergedLogs + 1, maxMergedLogs},
		"long":  {-1, maxMergedLongLogs + 1, maxMergedLongLogs},
	} {
		var tasks []Task
		logs := map[string]*fakeLog{}
		for n := range tc.logs {
			task := newTask(0, backends.StateRunning)
			task.Tasks = []backends.Task{{Name: "nginx", ExecID: fmt.Sprint(n), State: backends.StateRunning}}
			tasks = append(tasks, task)
			logs[fmt.Sprint(n)] = logOf(at(1, "a"))
		}
		view, out := newView(jobOf("running", tasks...), nil, logs)
		view.Query.Lines = tc.lines
		if err := view.Show(t.Context(), Newest); err != nil {
			t.Error(err)
		}
		want := strings.Repeat("web[0]/nginx | a\n", tc.logs)
		if out.stdout.String() != want ||
			out.stderr.String() != fmt.Sprintf("nomadctld: printed %d logs; now printing the next 1\n", tc.size) {
			t.Errorf("%s: got %q and %q", name, &out.stdout, &out.stderr)
		}
	}
}

func TestShow_TooManyMerge(t *testing.T) {
	for range maxMergeCommands {
		mergeSlots <- struct{}{}
	}
	defer func() {
		for range maxMergeCommands {
			<-mergeSlots
		}
	}()
	job := jobOf("running", newTask(0, backends.StateRunning), newTask(1, backends.StateRunning))
	view, out := newView(job, nil, map[string]*fakeLog{"e0": logOf(lines("a\n")), "e1": logOf(lines("b\n"))})
	if err := view.Show(t.Context(), Newest); err != nil {
		t.Error(err)
	}
	out.check(t, "web[0]/nginx | a\nweb[1]/nginx | b\n",
		"nomadctld: too many commands are merging logs: showing these logs one after the other\n")
}

func TestShow_Previous(t *testing.T) {
	current, before := newTask(0, backends.StateRunning), newTask(0, backends.StateRunning)
	before.ID, before.Created = "old", time.Unix(500, 0)
	before.Tasks = []backends.Task{{Name: "nginx", ExecID: "b0", State: backends.StateRunning}}
	restarted := current
	restarted.Task.Restarts = 2
	for name, tc := range map[string]struct {
		task   Task
		choice LogChoice
		job    backends.Job
		want   string // stdout, or the error
	}{
		"restarted":             {restarted, Previous, jobOf("running", restarted, before), "previous run"},
		"restarted, allocation": {restarted, PreviousAllocation, jobOf("running", restarted, before), "before"},
		"not restarted":         {current, Previous, jobOf("running", current, before), "before"},
		"no earlier allocation": {
			current, Previous, jobOf("running", current),
			"Nomad has no earlier allocation of web.web[0] (see: ps --all web)",
		},
		"of the allocation only": {
			restarted, PreviousAllocation, jobOf("running", restarted),
			"Nomad has no earlier allocation of web.web[0] (see: ps --all web)",
		},
	} {
		log := logOf(lines("current"))
		log.previous = lines("previous run")
		view, out := newView(tc.job, &tc.task, map[string]*fakeLog{"e0": log, "b0": logOf(lines("before"))})
		err := view.Show(t.Context(), tc.choice)
		if got := out.stdout.String(); err == nil && got != tc.want || err != nil && err.Error() != tc.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tc.want)
		}
	}
	view, _ := newView(jobOf("running", current, newTask(1, backends.StateRunning)), nil, nil)
	if err := view.Show(t.Context(), Previous); err == nil || !strings.HasPrefix(err.Error(),
		"Nomad has no earlier allocation of web (") {
		t.Errorf("of a job: got %v", err)
	}
}
