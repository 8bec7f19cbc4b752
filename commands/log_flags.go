package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/internal/parse"
	"nomadctld/internal/pattern"
	"nomadctld/internal/tasklog"
	"nomadctld/router"
)

// logSelectorHelp explains taskArg for logs and tail.
const logSelectorHelp = `JOB and JOB/GROUP select all their tasks, JOB/GROUP/TASK one in all allocations.
GROUP may have an index, as in web[1]. ID is an exec ID or an allocation ID, or at
least its first 4 digits. Complete, lost and replaced allocations are selected only
by ID, unless there are no others.`

// logFlags are the flags of logs and tail.
type logFlags struct {
	lines                  string
	stdout, stderr, split  bool
	since, until           string
	times, json            bool
	grep, exclude          string
	after, before, context string
	highlight              string
	children               bool
	flagSet                *pflag.FlagSet
}

// bindSelection defines the flags that select the output.
func (l *logFlags) bindSelection(f *pflag.FlagSet) {
	f.StringVarP(&l.lines, "lines", "n", "100", "`N|all` last lines of each task; also: -5, --tail 5")
	f.StringVar(&l.lines, "tail", "100", "`N|all` the same as --lines")
	f.MarkHidden("tail")
	f.BoolVar(&l.stdout, "stdout", false, "only the task's stdout")
	f.BoolVar(&l.stderr, "stderr", false, "only the task's stderr")
	f.StringVar(&l.since, "since", "", "`TIME` all newer lines: 10m, 3d, 10:30, '2026-11-22 14:05'")
	l.flagSet = f
}

// bindFilter defines the flags that filter and format lines.
func (l *logFlags) bindFilter(f *pflag.FlagSet) {
	f.StringVar(&l.grep, "grep", "", "`REGEXP` search the whole log; -n counts matching lines")
	f.StringVar(&l.exclude, "exclude", "", "`REGEXP` leave out matching lines")
	f.StringVarP(&l.context, "context", "C", "", "`N` lines around each match; -A: after, -B: before")
	f.StringVarP(&l.after, "after-context", "A", "", "`N` lines after each match")
	f.StringVarP(&l.before, "before-context", "B", "", "`N` lines before each match")
	f.MarkHidden("after-context")
	f.MarkHidden("before-context")
	f.StringVar(&l.highlight, "highlight", "", "`REGEXP` mark matches on a terminal")
	f.BoolVarP(&l.times, "timestamps", "t", false, "print the time before each line, if known")
	f.BoolVar(&l.json, "json", false, "print one JSON object for each line")
	f.BoolVar(&l.split, "split", false, "in a pipe, print stderr to stderr; loses the order")
}

// query returns the log query for the flags. Its errors are usage errors.
func (l *logFlags) query(now time.Time, filter tasklog.Filter) (q backends.LogQuery, err error) {
	q = backends.LogQuery{
		Stdout: l.stdout || !l.stderr, Stderr: l.stderr || !l.stdout, PreferTimes: l.times || l.json, Lines: -1,
		Until: filter.Until,
	}
	if l.since != "" {
		if q.Since, err = parse.Time(l.since, now); err != nil {
			return q, fmt.Errorf("--since: %w", err)
		}
		if !q.Until.IsZero() && q.Until.Before(q.Since) {
			return q, errors.New("--until is before --since")
		}
	}
	return q, nil
}

// limit returns the number of last lines to print, or -1 for all. --since without --lines means all lines since then.
func (l *logFlags) limit() (int, error) {
	chosen := l.flagSet.Changed("lines") || l.flagSet.Changed("tail")
	if l.lines == "all" || l.since != "" && !chosen {
		return -1, nil
	}
	n, ok := parse.Number(l.lines)
	if !ok {
		return 0, fmt.Errorf("--lines takes a number or all, not %.100q", l.lines)
	}
	return n, nil
}

// filter returns the filter for the flags. Its errors are usage errors.
func (l *logFlags) filter(now time.Time) (f tasklog.Filter, err error) {
	if l.grep != "" {
		if f.Pattern, err = pattern.Compile(l.grep); err != nil {
			return f, fmt.Errorf("--grep: %w", err)
		}
	}
	if l.exclude != "" {
		if f.Exclude, err = pattern.Compile(l.exclude); err != nil {
			return f, fmt.Errorf("--exclude: %w", err)
		}
	}
	if l.until != "" {
		if f.Until, err = parse.Time(l.until, now); err != nil {
			return f, fmt.Errorf("--until: %w", err)
		}
	}
	for _, c := range []struct {
		flag, value string
		lines       []*int
	}{
		{"-C", l.context, []*int{&f.Before, &f.After}},
		{"-B", l.before, []*int{&f.Before}},
		{"-A", l.after, []*int{&f.After}},
	} {
		if c.value == "" {
			continue
		}
		n, ok := parse.Number(c.value)
		if !ok || n > maxLogContext {
			return f, fmt.Errorf("%s takes a number up to %d, not %.100q", c.flag, maxLogContext, c.value)
		}
		for _, lines := range c.lines {
			*lines = n
		}
	}
	if f.Before+f.After > 0 && f.Pattern == nil {
		return f, errors.New("-A, -B and -C need --grep")
	}
	return f, nil
}

// maxLogContext is the maximum number of context lines before or after a match.
const maxLogContext = 100

// view returns the request to print the logs of the target.
func (l *logFlags) view(ctx context.Context, req *router.Request) (view tasklog.View, err error) {
	now := time.Now()
	printer := &tasklog.Printer{Console: req.Console, Times: l.times, JSON: l.json, Split: l.split}
	if printer.Filter, err = l.filter(now); err != nil {
		return view, usageError(req, err)
	}
	query, err := l.query(now, printer.Filter)
	if err != nil {
		return view, usageError(req, err)
	}
	limit, err := l.limit()
	if err != nil {
		return view, usageError(req, err)
	}
	if l.highlight != "" {
		if printer.Highlight, err = pattern.Compile(l.highlight); err != nil {
			return view, usageError(req, fmt.Errorf("--highlight: %w", err))
		}
	}
	if l.json && (l.times || l.split) {
		return view, usageError(req, errors.New("--json has the time and the stream of each line: leave out -t and --split"))
	}
	filtered := printer.Filter.Pattern != nil || printer.Filter.Exclude != nil || !printer.Filter.Until.IsZero()
	if filtered && limit > 0 {
		printer.Filter.Last = limit // of the lines that remain
		printer.Filter.NoteOlder = !l.flagSet.Changed("lines") && !l.flagSet.Changed("tail")
	} else {
		query.Lines = limit
	}
	selected, err := logSelection(ctx, req)
	if err != nil {
		return view, err
	}
	return tasklog.View{
		Job: req.Target.Job, Selected: selected, Query: query, Printer: printer, Children: l.children,
		AcquireMemory: req.Access.AcquireResultSlot,
		Open:          func(a backends.Allocation, task string) tasklog.Log { return req.Access.RuntimeOf(a, task) },
	}, nil
}

// logSelection returns the tasks that the target selects.
func logSelection(ctx context.Context, req *router.Request) (s tasklog.Selection, err error) {
	t := req.Target
	s = tasklog.Selection{Group: t.Part.Group, Task: t.Part.Task, Allocation: t.Allocation}
	switch {
	case t.Task != nil:
		s.One = &tasklog.Task{Allocation: *t.Allocation, Task: *t.Task}
	case t.Allocation != nil && len(t.Allocation.Tasks) == 1:
		s.One = &tasklog.Task{Allocation: *t.Allocation, Task: t.Allocation.Tasks[0]}
	case s.Group != "" && !s.Matches(t.Job): // is the group or the task misspelt?
		detail, err := req.Access.Cluster.Job(ctx, t.Job)
		if err != nil {
			return s, err
		}
		if _, err := t.Part.GroupIn(detail); err != nil {
			return s, err
		}
	case s.Group != "":
		s.SelectOne(t.Job)
	}
	return s, nil
}

// followLogs prints the logs of the target until all tasks have finished.
func (l *logFlags) followLogs(ctx context.Context, req *router.Request) error {
	view, err := l.view(ctx, req)
	if err != nil {
		return err
	}
	if l.children && !view.Job.Periodic && !view.Job.Parameterized {
		return usageError(req, fmt.Errorf("--children: %s is neither periodic nor parameterized", view.Job.ID))
	}
	req.Access.AllowCached(tasklog.PollInterval * 9 / 10)
	err = view.Follow(ctx, req.Access.Cluster)
	if errors.Is(context.Cause(ctx), console.ErrInterrupted) {
		return nil // users stop following with Ctrl-C
	}
	return logError(err)
}

// logError returns err, or the exit code 1 if err has been printed.
func logError(err error) error {
	if errors.Is(err, tasklog.ErrReported) {
		return router.Exit(1, nil)
	}
	return err
}
