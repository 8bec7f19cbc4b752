package commands

import (
	"context"
	"strings"

	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/safego"
)

const (
	excerptLines    = 5       // of a crashed task
	maxExcerpts     = 5       // tasks of which info shows lines
	maxExcerptBytes = 4 << 10 // of the lines of a task
	maxExcerptReads = 2       // concurrent; each uses one of the user's slots for logs
)

// logExcerpt has the last lines of a crashed task: those of stderr or, if that is empty, of stdout.
type logExcerpt struct {
	Output string   // Stderr or Stdout
	Lines  []string // not escaped
	Failed bool     // the log could not be read in time
}

// logSource reads a log as backends.LogSource does.
type logSource = func(context.Context, backends.LogQuery, func(backends.LogChunk) error) error

// crashedTask is a task whose last output info shows.
type crashedTask struct {
	allocation backends.Allocation
	task       backends.Task
}

// crashedTasks returns the selected tasks that have crashed and are not up again, at most maxExcerpts.
func (v *infoView) crashedTasks() (crashed []crashedTask) {
	for _, a := range v.allocations {
		for _, t := range a.Tasks {
			state := jobstate.Task(a, t, nil, v.now)
			if jobstate.Crashed(t) && (state.Problem || t.Failed) && len(crashed) < maxExcerpts {
				crashed = append(crashed, crashedTask{a, t})
			}
		}
	}
	return crashed
}

// readExcerpts returns the last lines of tasks, by exec ID. open returns nil for a log that the user may not read. Such
// tasks are missing in the result.
func readExcerpts(
	ctx context.Context, crashed []crashedTask, open func(crashedTask) logSource,
) map[string]logExcerpt {
	all := make([]logExcerpt, len(crashed))
	var g errgroup.Group
	g.SetLimit(maxExcerptReads)
	for i, t := range crashed {
		read := open(t)
		if read == nil {
			continue
		}
		all[i].Failed = true
		g.Go(func() error {
			return safego.Protect(func() error {
				all[i] = readExcerpt(ctx, read)
				return nil
			})
		})
	}
	_ = g.Wait()
	excerpts := map[string]logExcerpt{}
	for i, t := range crashed {
		if all[i].Failed || len(all[i].Lines) > 0 {
			excerpts[t.task.ExecID] = all[i]
		}
	}
	return excerpts
}

func readExcerpt(ctx context.Context, read logSource) logExcerpt {
	for _, output := range []string{"Stderr", "Stdout"} {
		var text []byte
		cut := ""
		stderr := output == "Stderr"
		query := backends.LogQuery{Stderr: stderr, Stdout: !stderr, Lines: 2 * excerptLines} // some may be blank
		err := read(ctx, query, func(c backends.LogChunk) error {
			text = append(text, c.Data...)
			if over := len(text) - maxExcerptBytes; over > 0 {
				text, cut = text[over:], "…"
			}
			return nil
		})
		if err != nil {
			return logExcerpt{Output: output, Failed: true}
		}
		var lines []string
		for line := range strings.Lines(cut + string(text)) {
			if strings.TrimSpace(line) != "" {
				lines = append(lines, strings.TrimRight(line, " \t\r\n"))
			}
		}
		if len(lines) > 0 {
			return logExcerpt{Output: output, Lines: lines[max(0, len(lines)-excerptLines):]}
		}
	}
	return logExcerpt{}
}
