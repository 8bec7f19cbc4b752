package commands

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/internal/parse"
	"nomadctld/internal/pattern"
	"nomadctld/internal/tasklog"
	"nomadctld/router"
)

// logFlags are the flags of logs and tail.
type logFlags struct {
	lines          string
	stdout, stderr bool
	split          bool
	since          string
	times          bool
	grep           string
	flagSet        *pflag.FlagSet
}

func (l *logFlags) bind(f *pflag.FlagSet) {
	f.StringVarP(&l.lines, "lines", "n", "100", "`N|all` last lines of stdout and stderr each")
	f.BoolVar(&l.stdout, "stdout", false, "only the task's stdout")
	f.BoolVar(&l.stderr, "stderr", false, "only the task's stderr")
	f.BoolVar(&l.split, "split", false, "print the task's stderr to stderr; loses the order")
	f.StringVar(&l.since, "since", "", "`TIME` all newer lines: 10m, 3d or '2026-11-22 14:05' UTC")
	f.BoolVarP(&l.times, "timestamps", "t", false, "print the time before each line, if known")
	f.StringVar(&l.grep, "grep", "", "`REGEXP` of these lines, print only the matching ones")
	l.flagSet = f
}

// query returns the log query for the flags, and the pattern of the lines to print, or nil for all lines. Its errors
// are usage errors.
func (l *logFlags) query(now time.Time) (q backends.LogQuery, re *regexp.Regexp, err error) {
	q = backends.LogQuery{Stdout: l.stdout || !l.stderr, Stderr: l.stderr || !l.stdout, Timestamps: l.times, Lines: -1}
	if l.grep != "" {
		if re, err = pattern.Compile(l.grep); err != nil {
			return q, nil, fmt.Errorf("--grep: %w", err)
		}
	}
	if l.since != "" {
		if q.Since, err = parse.Time(l.since, now); err != nil {
			return q, nil, fmt.Errorf("--since: %w", err)
		}
	}
	// --since without --lines means all lines since then.
	if l.lines != "all" && (l.since == "" || l.flagSet.Changed("lines")) {
		var ok bool
		if q.Lines, ok = parse.Number(l.lines); !ok {
			return q, nil, fmt.Errorf("--lines takes a number or all, not %.100q", l.lines)
		}
	}
	return q, re, nil
}

// view returns the request to print the logs of the target.
func (l *logFlags) view(req *router.Request) (view tasklog.View, err error) {
	query, pattern, err := l.query(time.Now())
	if err != nil {
		return view, usageError(req, err)
	}
	view = tasklog.View{
		Job: req.Target.Job, Query: query,
		Printer: &tasklog.Printer{Console: req.Console, Pattern: pattern, Times: l.times, Split: l.split},
		Open:    func(a backends.Allocation, task string) tasklog.Log { return req.Access.RuntimeOf(a, task) },
	}
	if req.Target.Task != nil {
		view.Task = &tasklog.Task{Allocation: *req.Target.Allocation, Task: *req.Target.Task}
	}
	return view, nil
}

// followLogs prints the logs of the target until all tasks have finished.
func (l *logFlags) followLogs(ctx context.Context, req *router.Request) error {
	view, err := l.view(req)
	if err != nil {
		return err
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
