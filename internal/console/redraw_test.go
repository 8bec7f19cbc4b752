package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRedraw_Terminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		c := &Console{Stdout: &stdout, Stderr: &stderr, Terminal: NewTerminal("xterm", 80, 24)}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second, func() { cancel(&InterruptError{Signal: 2}) })
		started, frames := time.Now(), 0
		var title []string
		err := c.Redraw(ctx, 2*time.Second, "every 2s: ps", func(_ context.Context, show ShowFrame) error {
			frames++
			title = append(title, "every 2s: ps  "+time.Now().Format(time.TimeOnly))
			return show(fmt.Sprintf("frame %d\n", frames), []string{"tier quality: down"})
		})
		want := ""
		for i, line := range title {
			want += fmt.Sprintf("\x1b[H%s\x1b[K\n\x1b[K\nframe %d\x1b[K\nnomadctld: tier quality: down\x1b[K\x1b[J", line, i+1)
		}
		want = "\x1b[2J" + want + "\n"
		if err != nil || frames != 3 || stdout.String() != want || stderr.Len() > 0 {
			t.Errorf("got %v, %d frames, %q, %q; want 3 frames, %q", err, frames, stdout.String(), stderr.String(), want)
		}
		if took := time.Since(started); took != 5*time.Second {
			t.Errorf("it ended after %s, want 5s", took)
		}
	})
}

func TestRedraw_WithoutTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		c := &Console{Stdout: &stdout, Stderr: &stderr}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(errors.New("the client disconnected")) })
		err := c.Redraw(ctx, 2*time.Second, "", func(_ context.Context, show ShowFrame) error {
			return show("frame\n", []string{"tier \x1b quality"})
		})
		if err != context.Canceled || stdout.String() != "frame\n\nframe\n" ||
			stderr.String() != strings.Repeat("nomadctld: tier \\x1b quality\n", 2) {
			t.Errorf("got %v, %q, %q", err, stdout.String(), stderr.String())
		}
	})
}

func TestRedraw_CutToTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stdout bytes.Buffer
		c := &Console{Stdout: &stdout, Terminal: NewTerminal("xterm", 10, 5)}
		failed := errors.New("failed")
		drawn := 0
		err := c.Redraw(t.Context(), time.Second, "every 1s: ps", func(_ context.Context, show ShowFrame) error {
			if drawn++; drawn == 2 {
				return failed
			}
			return show("a\nb\nc\nd\n", nil)
		})
		want := "\x1b[2J\x1b[Hevery 1s:…\x1b[K\n\x1b[K\na\x1b[K\nb\x1b[K\n... 2 mor…\x1b[K\x1b[J"
		if err != failed || stdout.String() != want {
			t.Errorf("got %v, %q, want %q", err, stdout.String(), want)
		}
	})
}
