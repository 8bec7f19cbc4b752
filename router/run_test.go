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
		left := &backends.LeftError{Cause: cause, Err: errors.New("there is no shell")}
		err := interruptible(func(context.Context, *Request) error { return left })(ctx, &Request{})
		if got := new(backends.LeftError); !errors.As(err, &got) || !errors.Is(err, cause) || Code(err) != Code(cause) {
			t.Errorf("%v: got %v, code %d", cause, err, Code(err))
		}
	}
}
