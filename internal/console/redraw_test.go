package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
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
		want := "\x1b[2J\x1b[Hevery 1s:…\x1b[K\n\x1b[K\na\x1b[K\nb\x1b[K\nlines 1-2…\x1b[K\x1b[J"
		if err != failed || stdout.String() != want {
			t.Errorf("got %v, %q, want %q", err, stdout.String(), want)
		}
	})
}

// TestRedraw_Keys scrolls a frame of nine lines on a terminal that shows two of them, and quits.
func TestRedraw_Keys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stdout bytes.Buffer
		stdin, keyboard := io.Pipe()
		defer keyboard.Close()
		c := &Console{Stdin: stdin, Stdout: &stdout, Terminal: NewTerminal("xterm", 80, 5)}
		go func() {
			for _, key := range []string{"j", "\x1b[B", "\x1b", "[6~", "k", "G", "\x1b[1;5x", " ", "b", "g", "k", "q"} {
				time.Sleep(time.Second)
				io.WriteString(keyboard, key)
			}
		}()
		draw := func(_ context.Context, show ShowFrame) error { return show("1\n2\n3\n4\n5\n6\n7\n8\n9\n", nil) }
		if err := c.Redraw(t.Context(), time.Hour, "ps", draw); err != nil {
			t.Errorf("after q: got %v, want no error", err)
		}
		var got []string
		for _, found := range regexp.MustCompile(`lines (\d)-`).FindAllStringSubmatch(stdout.String(), -1) {
			got = append(got, found[1])
		}
		if want := "1 2 3 5 4 8 8 6 1 1"; strings.Join(got, " ") != want {
			t.Errorf("first visible lines: got %s, want %s", strings.Join(got, " "), want)
		}
	})
}

func TestRedraw_QuitsWhileDrawing(t *testing.T) {
	for key, name := range map[string]string{"q": "q", "\x03": "Ctrl-C"} {
		synctest.Test(t, func(t *testing.T) {
			stdin, keyboard := io.Pipe()
			defer keyboard.Close()
			c := &Console{Stdin: stdin, Stdout: io.Discard, Terminal: NewTerminal("xterm", 80, 5)}
			go io.WriteString(keyboard, key)
			err := c.Redraw(t.Context(), time.Second, "ps", func(ctx context.Context, _ ShowFrame) error {
				<-ctx.Done()
				return nil
			})
			if err != nil {
				t.Errorf("%s: got %v, want no error", name, err)
			}
		})
	}
}

func TestConsole_DumbTerminal(t *testing.T) {
	for _, name := range []string{"dumb", ""} {
		synctest.Test(t, func(t *testing.T) { testDumbTerminal(t, name) })
	}
}

func testDumbTerminal(t *testing.T, name string) {
	var stdout bytes.Buffer
	c := &Console{Stdout: &stdout, Terminal: NewTerminal(name, 80, 24)}
	if style := c.Style(); style.Color || style.Width != 80 {
		t.Errorf("got style %+v, want no color and 80 columns", style)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(3*time.Second, func() { cancel(ErrInterrupted) })
	draw := func(_ context.Context, show ShowFrame) error { return show("frame\n", nil) }
	err := c.Redraw(ctx, 2*time.Second, "ps", draw)
	c.NewProgressLine().Transientf("1 of 2")
	done := c.ShowActivity("waiting")
	time.Sleep(2 * time.Second)
	done()
	if err != nil || strings.ContainsAny(stdout.String(), "\x1b\r") {
		t.Errorf("got %v and %q, want no escape sequences", err, stdout.String())
	}
}
