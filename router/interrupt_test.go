package router

import (
	"context"
	"errors"
	"testing"

	"nomadctld/backends"
	"nomadctld/internal/console"
)

// TestInterrupt_LeftProgram expects a program that is still running to be reported for every cause of a canceled
// context.
func TestInterrupt_LeftProgram(t *testing.T) {
	for _, cause := range []error{ErrClientDisconnected, ErrGatewayStopping, console.ErrInterrupted, ErrOutputClosed} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		left := &backends.StillRunningError{Cause: cause, Err: errors.New("there is no shell")}
		req := &Request{Console: &console.Console{}, Command: probe{}}
		err := handleInterrupts(func(context.Context, *Request) error { return left })(ctx, req)
		if got := new(backends.StillRunningError); !errors.As(err, &got) || !errors.Is(err, cause) ||
			ExitCode(err) != ExitCode(cause) {
			t.Errorf("%v: got %v, code %d", cause, err, ExitCode(err))
		}
	}
}

func TestInterrupt_Zombies(t *testing.T) {
	for _, cause := range []error{ErrClientDisconnected, ErrGatewayStopping, console.ErrInterrupted, ErrOutputClosed} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		zombies := &backends.ZombiesError{Cause: cause, Count: 2}
		req := &Request{Console: &console.Console{}, Command: probe{}}
		err := handleInterrupts(func(context.Context, *Request) error { return zombies })(ctx, req)
		if got := new(backends.ZombiesError); !errors.As(err, &got) || !errors.Is(err, cause) ||
			ExitCode(err) != ExitCode(cause) || IsQuiet(err) != IsQuiet(cause) {
			t.Errorf("%v: got %v, code %d", cause, err, ExitCode(err))
		}
	}
}
