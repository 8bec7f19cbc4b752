package tasklog

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/console"
)

// TestFollow_SortsExistingLines checks that the existing lines of all tasks are printed sorted by time, and later lines
// as they arrive. A log that does not start does not delay the others for long.
func TestFollow_SortsExistingLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var printedAt time.Duration
		logs := map[string]*fakeLog{
			"e0": logOf(steps(at(1, "a"), at(4, "d"), at(3, "order stays"), caughtUp("c0"), pause(20*time.Second)), noNext),
			"e1": logOf(steps(at(2, "b"), pause(time.Second), at(3, "c"), caughtUp("c1"), at(1, "later")), noNext),
			"e2": logOf(steps(lines("no time\n"), caughtUp("c2")), noNext),
			"e3": logOf(pause(20 * time.Second)),
		}
		var tasks []Task
		for i := range logs {
			tasks = append(tasks, newTask(i[1]-'0', backends.StateRunning))
		}
		job := jobOf("running", tasks...)
		view, out := newView(job, nil, logs)
		released := 0
		view.AcquireMemory = func(context.Context) (func(), error) {
			return func() { released++; printedAt = time.Since(start) }, nil
		}
		err := view.Follow(t.Context(), newStates(func(elapsed time.Duration) (backends.Job, error) {
			if elapsed < 20*time.Second {
				return job, nil
			}
			for i := range tasks {
				tasks[i] = newTask(byte(i), backends.StateDead)
			}
			return jobOf("dead", tasks...), nil
		}))
		if err != nil {
			t.Error(err)
		}
		want := "web[0]/nginx | a\nweb[1]/nginx | b\nweb[1]/nginx | c\nweb[1]/nginx | later\nweb[0]/nginx | d\n" +
			"web[0]/nginx | order stays\nweb[2]/nginx | no time\n"
		if got := out.stdout.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if !logs["e0"].queries[0].PreferTimes {
			t.Error("the log was read without times")
		}
		if released != 1 || printedAt > historyTimeout+PollInterval {
			t.Errorf("released %d times, after %s", released, printedAt)
		}
	})
}

// TestFollow_NotStarted checks that a task that has not started does not delay the lines of the others.
func TestFollow_NotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, printedAt := time.Now(), time.Hour
		running, pending := newTask(0, backends.StateRunning), newTask(1, "pending")
		view, _ := newView(jobOf("running", running, pending), nil, map[string]*fakeLog{
			"e0": logOf(steps(lines("a\n"), caughtUp("c0")), noNext), "e1": logOf(pause(time.Hour)),
		})
		view.AcquireMemory = func(context.Context) (func(), error) {
			return func() { printedAt = time.Since(start) }, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_ = view.Follow(ctx, newStates(func(time.Duration) (backends.Job, error) {
			return jobOf("running", running, pending), nil
		}))
		if printedAt >= historyTimeout {
			t.Errorf("printed after %s", printedAt)
		}
	})
}

// TestShow_SearchProgress checks that a long search prints its progress on a terminal, and removes it before any other
// text.
func TestShow_SearchProgress(t *testing.T) {
	const progress = "\rsearching: %s MB read\x1b[K"
	for name, tc := range map[string]struct {
		terminal, limited bool
		want              string
	}{
		"terminal": {
			true, true, fmt.Sprintf(progress, "0.2") + "\r\x1b[Knomadctld: a note\n" + fmt.Sprintf(progress, "0.3") +
				"\r\x1b[Km1\n",
		},
		"no terminal": {false, true, "nomadctld: a note\nm1\n"},
		"no search":   {true, false, "nomadctld: a note\nm1\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			task := newTask(0, backends.StateRunning)
			text := lines(strings.Repeat("x", 99_999) + "\n")
			log := logOf(steps(text, pause(time.Second), text, pause(time.Millisecond), text,
				chunk(backends.LogChunk{Note: "a note"}), pause(time.Second), lines("m1\n")))
			view, _ := newView(jobOf("running", task), &task, map[string]*fakeLog{"e0": log})
			var out strings.Builder
			view.Printer.Console = newConsole(&out, &out)
			if tc.terminal {
				view.Printer.Console.Terminal = console.NewTerminal("xterm", 80, 24)
			}
			view.Printer.Filter = Filter{Pattern: regexp.MustCompile("m")}
			if tc.limited {
				view.Printer.Filter.Last = 5
			}
			if err := view.Show(t.Context(), Newest); err != nil {
				t.Error(err)
			}
			if out.String() != tc.want {
				t.Errorf("%s: got %q, want %q", name, out.String(), tc.want)
			}
		})
	}
}

// TestFollow_LastMatches checks that tail --grep prints only the last matches of the existing log, and all later ones.
func TestFollow_LastMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := newTask(0, backends.StateRunning)
		log := logOf(steps(lines("m1\nm2\nother\nm3\n"), caughtUp("c1"), lines("m4\nother\nm5\n")), noNext)
		view, out := newView(jobOf("running", task), &task, map[string]*fakeLog{"e0": log})
		view.Printer.Filter = Filter{Pattern: regexp.MustCompile("m"), Last: 2}
		if err := view.Follow(t.Context(), newStates(runsUntil(time.Minute))); err != nil {
			t.Error(err)
		}
		out.check(t, "m2\nm3\nm4\nm5\n", finished)
	})
}

// TestHistory_Memory checks what happens without memory: tail prints unsorted lines, and --grep fails.
func TestHistory_Memory(t *testing.T) {
	full := errors.New("too many commands")
	for name, tc := range map[string]struct {
		last int
		want error
	}{"sorted": {0, nil}, "last matches": {5, full}} {
		synctest.Test(t, func(t *testing.T) {
			task := newTask(0, backends.StateRunning)
			text := strings.Repeat(fmt.Sprintf("%01000d\n", 1), 1000)
			view, out := newView(jobOf("running", task), nil, map[string]*fakeLog{
				"e0": logOf(steps(lines(text), caughtUp("c1")), noNext),
			})
			view.Printer.Filter.Last = tc.last
			view.AcquireMemory = func(ctx context.Context) (func(), error) {
				select {
				case <-time.After(30 * time.Second):
				case <-ctx.Done():
				}
				return nil, full
			}
			start := time.Now()
			err := view.Follow(t.Context(), newStates(func(elapsed time.Duration) (backends.Job, error) {
				if elapsed < 10*time.Second {
					return jobOf("running", task), nil
				}
				return jobOf("dead", newTask(0, backends.StateDead)), nil
			}))
			if err != tc.want || tc.want == nil && (strings.Count(out.stdout.String(), "\n") != 1000 ||
				time.Since(start) > time.Minute) {
				t.Errorf("%s: got %v, %d bytes, after %s", name, err, out.stdout.Len(), time.Since(start))
			}
		})
	}
}

// TestFollow_InterruptReleasesMemory checks that the memory is released if the user interrupts the search.
func TestFollow_InterruptReleasesMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := newTask(0, backends.StateRunning)
		view, out := newView(jobOf("running", task), &task, map[string]*fakeLog{
			"e0": logOf(steps(lines("m1\n"), pause(time.Hour))),
		})
		view.Printer.Filter = Filter{Pattern: regexp.MustCompile("m"), Last: 2}
		released := 0
		view.AcquireMemory = func(context.Context) (func(), error) { return func() { released++ }, nil }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := view.Follow(ctx, newStates(runsUntil(time.Hour)))
		if err == nil || released != 1 || out.stdout.Len() > 0 {
			t.Errorf("got %v, released %d times, %q", err, released, &out.stdout)
		}
	})
}
