package commands

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/parse"
	"nomadctld/internal/pattern"
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
	f.StringVar(&l.grep, "grep", "", "`REGEXP` only matching lines among those of -n and --since")
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

// explainLogError adds the task and the next step to an error of a log.
func explainLogError(err error, t logTask) error {
	task := t.name()
	switch {
	case errors.Is(err, backends.ErrRunsNotSeparable):
		return fmt.Errorf("log of %s: %w (for all runs: logs -n all %s; "+
			"for the previous allocation: logs --previous-allocation %s)", task, err, t.task.ExecID, t.task.ExecID)
	case errors.Is(err, backends.ErrNoLog):
		return fmt.Errorf("log of %s: %w (see: info %s)", task, err, t.task.ExecID)
	case errors.Is(err, backends.ErrNoTimestamps):
		return fmt.Errorf("the log of %s comes from Nomad's files, which have no timestamps: leave out -t and --since", task)
	case err != nil:
		return fmt.Errorf("log of %s: %w", task, err)
	}
	return nil
}
