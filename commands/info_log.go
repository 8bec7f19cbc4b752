package commands

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/safego"
	"nomadctld/router"
)

const (
	excerptLines    = 5       // of a crashed task
	maxExcerpts     = 5       // tasks of which info shows lines
	maxExcerptBytes = 4 << 10 // of the lines of a task
	maxExcerptReads = 2       // concurrent; each uses one of the user's slots for logs
)

// logExcerpt has the last lines of a crashed task: those of stderr or, if that is empty, of stdout.
type logExcerpt struct {
	Output   string   // Stderr or Stdout
	Lines    []string // not escaped
	Previous bool     // of the previous run of the task, not of the current one
	Failed   bool     // the log could not be read, or not in time
	Unread   bool     // the log was not read, because too many tasks have crashed
}

// crashedTask is a task whose last output info shows.
type crashedTask struct {
	allocation backends.Allocation
	task       backends.Task
}

// crashedTasks returns the selected tasks that have crashed and are not up again.
func (v *infoView) crashedTasks() (crashed []crashedTask) {
	for _, a := range v.allocations {
		for _, t := range a.Tasks {
			state := jobstate.Task(a, t, nil, v.now)
			if jobstate.Crashed(t) && (state.Problem || t.Failed) {
				crashed = append(crashed, crashedTask{a, t})
			}
		}
	}
	return crashed
}

// readExcerpts returns the last lines of tasks, by exec ID. It reads those of the first maxExcerpts tasks. open returns
// nil for a log that the user may not read. Such tasks are missing in the result.
func readExcerpts(
	ctx context.Context, crashed []crashedTask, open func(crashedTask) router.LogReader,
) map[string]logExcerpt {
	all := make([]logExcerpt, len(crashed))
	var g errgroup.Group
	g.SetLimit(maxExcerptReads)
	for i, t := range crashed {
		log := open(t)
		if log == nil {
			continue
		}
		if i >= maxExcerpts {
			all[i].Unread = true
			continue
		}
		all[i].Failed = true
		g.Go(func() error {
			return safego.Protect(func() error {
				all[i] = readExcerpt(ctx, log, t)
				return nil
			})
		})
	}
	_ = g.Wait()
	excerpts := map[string]logExcerpt{}
	for i, t := range crashed {
		if e := all[i]; e.Failed || e.Unread || len(e.Lines) > 0 {
			excerpts[t.task.ExecID] = all[i]
		}
	}
	return excerpts
}

// readExcerpt reads the last lines of stderr or, if it is empty, of stdout. If the task is running again, it
// tries the log of the previous run first. Otherwise it tries that last: the latest run may have no output yet.
func readExcerpt(ctx context.Context, log router.LogReader, t crashedTask) logExcerpt {
	type run struct {
		read       logRead
		isPrevious bool
	}
	runs := []run{{log.Log, false}}
	if t.task.Restarts > 0 {
		runs = append(runs, run{log.PreviousLog, true})
	}
	if t.allocation.Runs(t.task) {
		slices.Reverse(runs)
	}
	for _, output := range []string{"Stderr", "Stdout"} {
		for _, r := range runs {
			lines, err := lastLines(ctx, r.read, output == "Stderr")
			switch {
			case errors.Is(err, backends.ErrRunsNotSeparable):
			case err != nil:
				return logExcerpt{Output: output, Previous: r.isPrevious, Failed: true}
			case len(lines) > 0:
				return logExcerpt{Output: output, Previous: r.isPrevious, Lines: lines}
			}
		}
	}
	return logExcerpt{}
}

// logRead is a method of router.LogReader.
type logRead = func(context.Context, backends.LogQuery, func(backends.LogChunk) error) error

// lastLines returns the last lines that are not blank.
func lastLines(ctx context.Context, read logRead, stderr bool) (lines []string, err error) {
	query := backends.LogQuery{Stderr: stderr, Stdout: !stderr, Lines: 2 * excerptLines} // some may be blank
	var text []byte
	cut := ""
	err = read(ctx, query, func(c backends.LogChunk) error {
		text = append(text, c.Data...)
		if over := len(text) - maxExcerptBytes; over > 0 {
			text, cut = text[over:], "…"
		}
		return nil
	})
	for line := range strings.Lines(cut + string(text)) {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, strings.TrimRight(line, " \t\r\n"))
		}
	}
	return lines[max(0, len(lines)-excerptLines):], err
}
