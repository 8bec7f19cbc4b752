package router

import (
	"context"
	"errors"
	"testing"

	"nomadctld/backends"
)

// Whatever a command's context has ended for, a program that still runs is told of.
func TestAProgramThatIsLeftIsNotForgotten(t *testing.T) {
	for _, cause := range []error{ErrClientGone, ErrStopping, ErrInterrupted, ErrOutputClosed} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		left := &backends.StillRunningError{Cause: cause, Err: errors.New("there is no shell")}
		err := interruptible(func(context.Context, *Request) error { return left })(ctx, &Request{})
		if got := new(backends.StillRunningError); !errors.As(err, &got) || !errors.Is(err, cause) || Code(err) != Code(cause) {
			t.Errorf("%v: got %v, code %d", cause, err, Code(err))
		}
	}
}

func TestZombies_AreNotForgotten(t *testing.T) {
	for _, cause := range []error{ErrClientGone, ErrStopping, ErrInterrupted, ErrOutputClosed} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		zombies := &backends.ZombiesError{Cause: cause, Count: 2}
		err := interruptible(func(context.Context, *Request) error { return zombies })(ctx, &Request{})
		if got := new(backends.ZombiesError); !errors.As(err, &got) || !errors.Is(err, cause) || Code(err) != Code(cause) || IsQuiet(err) != IsQuiet(cause) {
			t.Errorf("%v: got %v, code %d", cause, err, Code(err))
		}
	}
}
