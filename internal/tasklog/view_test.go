package tasklog

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"nomadctld/backends"
)

// readFunc reads a log. It passes the chunks to each.
type readFunc func(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error

// fakeLog is the log of a task. Each call takes the next function, and further calls take the last one.
type fakeLog struct {
	mu       sync.Mutex
	reads    []readFunc          // guarded by mu
	queries  []backends.LogQuery // guarded by mu: of the calls
	previous readFunc            // for PreviousLog
}

func (f *fakeLog) Log(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	f.mu.Lock()
	read := f.reads[0]
	if len(f.reads) > 1 {
		f.reads = f.reads[1:]
	}
	f.queries = append(f.queries, q)
	f.mu.Unlock()
	return read(ctx, q, each)
}

func (f *fakeLog) PreviousLog(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
	return f.previous(ctx, q, each)
}

// logOf returns a log with these reads.
func logOf(reads ...readFunc) *fakeLog { return &fakeLog{reads: reads} }

// steps returns a read that does these things one after the other.
func steps(all ...readFunc) readFunc {
	return func(ctx context.Context, q backends.LogQuery, each func(backends.LogChunk) error) error {
		for _, step := range all {
			if err := step(ctx, q, each); err != nil {
				return err
			}
		}
		return nil
	}
}

// lines returns a read that passes text to each.
func lines(text string) readFunc {
	return chunk(backends.LogChunk{Data: []byte(text)})
}

// chunk returns a read that passes a chunk to each.
func chunk(c backends.LogChunk) readFunc {
	return func(_ context.Context, _ backends.LogQuery, each func(backends.LogChunk) error) error { return each(c) }
}

// caughtUp returns a read that reports the end of the existing log of a container.
func caughtUp(container string) readFunc {
	return chunk(backends.LogChunk{CaughtUp: true, Container: container})
}

// pause returns a read that waits for d, or until the context is done.
func pause(d time.Duration) readFunc {
	return func(ctx context.Context, _ backends.LogQuery, _ func(backends.LogChunk) error) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fails returns a read that fails.
func fails(err error) readFunc {
	return func(context.Context, backends.LogQuery, func(backends.LogChunk) error) error { return err }
}

// newTask returns a task nginx in an allocation with the index n of the group web.
func newTask(n byte, state string) Task {
	a := backends.Allocation{
		ID: string([]byte{'0' + n}) + "1111111", JobID: "web", Name: "web.web[" + string([]byte{'0' + n}) + "]", Group: "web",
		Status: "running", Desired: "run", Created: time.Unix(1000, 0),
		Tasks: []backends.Task{{Name: "nginx", ExecID: "e" + string([]byte{'0' + n}), State: state}},
	}
	if state == backends.StateDead {
		a.Tasks[0].Finished = time.Unix(2000, 0)
		a.Tasks[0].Events = []backends.Event{{Type: "Terminated", Details: map[string]string{"exit_code": "3"}}}
	}
	return Task{a, a.Tasks[0]}
}

// jobOf returns a job with these tasks, one in each allocation.
func jobOf(status string, tasks ...Task) backends.Job {
	job := backends.Job{ID: "web", Type: "service", Status: status}
	for _, t := range tasks {
		job.Allocations = append(job.Allocations, t.Allocation)
	}
	return job
}

// output has what a view has printed.
type output struct{ stdout, stderr bytes.Buffer }

// newView returns a view of a job. logs has the logs by exec ID.
func newView(job backends.Job, task *Task, logs map[string]*fakeLog) (View, *output) {
	out := new(output)
	return View{
		Job: job, Selected: Selection{One: task}, Query: backends.LogQuery{Stdout: true, Stderr: true, Lines: 100},
		Printer: &Printer{Console: newConsole(&out.stdout, &out.stderr)},
		Open: func(a backends.Allocation, name string) Log {
			for _, t := range a.Tasks {
				if log := logs[t.ExecID]; t.Name == name && log != nil {
					return log
				}
			}
			return logOf(fails(backends.ErrNoLog))
		},
	}, out
}

// check compares the output with the wanted one.
func (o *output) check(t *testing.T, stdout, stderr string) {
	t.Helper()
	if o.stdout.String() != stdout || o.stderr.String() != stderr {
		t.Errorf("got\n%s\nand\n%s\nwant\n%s\nand\n%s", &o.stdout, &o.stderr, stdout, stderr)
	}
}
