package terminate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// run returns the times and signals of a run, and its error. send gets the number of the call, from 1.
func run(ctx context.Context, i Intervals, send func(n int) (bool, error)) (string, error) {
	var sent []string
	start := time.Now()
	err := i.Run(ctx, func(signal string) (bool, error) {
		sent = append(sent, fmt.Sprintf("%s %s", time.Since(start), signal))
		return send(len(sent))
	})
	return strings.Join(sent, ", "), err
}

func TestRun_Steps(t *testing.T) {
	errSend := errors.New("cannot send")
	running := func(int) (bool, error) { return false, nil }
	for name, c := range map[string]struct {
		intervals Intervals
		send      func(n int) (bool, error)
		want      string
		err       error
	}{
		"no exit": {Default, running, "0s HUP, 1s 0, 3s TERM, 4s 0, 6s KILL, 7s KILL, 8s 0", ErrStillRunning},
		"no exit, without checks": {
			Intervals{Grace: 2 * time.Second}, running, "0s HUP, 2s TERM, 4s KILL", ErrStillRunning,
		},
		"exit before HUP": {Default, func(int) (bool, error) { return true, nil }, "0s HUP", nil},
		"exit after TERM": {Default, func(n int) (bool, error) { return n == 4, nil }, "0s HUP, 1s 0, 3s TERM, 4s 0", nil},
		"exit after KILL": {
			Default, func(n int) (bool, error) { return n == 6, nil },
			"0s HUP, 1s 0, 3s TERM, 4s 0, 6s KILL, 7s KILL", nil,
		},
		"error": {
			Default, func(n int) (bool, error) { return false, map[int]error{2: errSend}[n] }, "0s HUP, 1s 0", errSend,
		},
		"slow signals": {
			Default, func(int) (bool, error) { time.Sleep(2 * time.Second); return false, nil },
			"0s HUP, 3s 0, 7s TERM, 10s 0, 14s KILL, 17s KILL, 20s 0", ErrStillRunning,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got, err := run(t.Context(), c.intervals, c.send); got != c.want || !errors.Is(err, c.err) {
					t.Errorf("got %q, %v, want %q, %v", got, err, c.want, c.err)
				}
			})
		})
	}
}

func TestRun_Canceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("cause")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3500*time.Millisecond, func() { cancel(cause) })
		running := func(int) (bool, error) { return false, nil }
		if got, err := run(ctx, Default, running); got != "0s HUP, 1s 0, 3s TERM" || err != cause {
			t.Errorf("got %q, %v", got, err)
		}
		if got, err := run(ctx, Default, running); got != "" || err != cause {
			t.Errorf("canceled before the start: got %q, %v", got, err)
		}
	})
}
