package nomad

import (
	"context"
	"errors"
	"sync"
	"time"

	"nomadctld/backends"
)

// programKiller sends signals to a program and kills it. Each signal is a program of its own in the task, run through
// another websocket.
type programKiller struct {
	c       *Client
	task    backends.TaskRef
	wrapper *wrappedCommand
	state   *programState

	mu       sync.Mutex // held while a signal is sent
	pending  sync.WaitGroup
	cancels  []context.CancelFunc
	lastSent <-chan struct{} // closed when the previous signal has been sent
}

// errCannotSignal reports a program that runs without the wrapper.
var errCannotSignal = errors.New("Nomad cannot signal programs in a task without /bin/sh")

// signal forwards a signal in the background, in order. It drops a signal that repeatedly cannot be sent.
func (t *programKiller) signal(ctx context.Context, name string) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.cancels = append(t.cancels, stop)
	before, done := t.lastSent, make(chan struct{})
	t.lastSent = done
	t.pending.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		select {
		case <-t.state.started:
			for range userSignalAttempts {
				if n, err := t.send(ctx, name, userSignalTimeout); err == nil && n > 0 || ctx.Err() != nil {
					return
				}
			}
		case <-ctx.Done():
		}
	})
}

// startKill kills the program in the background. The channel receives nil when it has exited, or an error if it could
// not be killed.
func (t *programKiller) startKill(ctx context.Context) <-chan error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), t.c.termination.Timeout(afterKillTimeout))
	t.cancels = append(t.cancels, stop)
	killed := make(chan error, 1)
	t.pending.Go(func() { killed <- t.terminate(ctx) })
	return killed
}

// terminate kills the program and waits for its exit.
func (t *programKiller) terminate(ctx context.Context) error {
	if t.wrapper == nil {
		return errCannotSignal
	}
	failure := errors.New("it is still running")
	err := t.c.termination.Run(ctx, func(signal string) (exited bool, err error) {
		select {
		case <-t.state.started:
		case <-ctx.Done():
			failure = errors.New("it may not have started yet")
			return false, failure
		}
		n, err := t.send(ctx, signal, stepTimeout)
		if err != nil {
			failure = err // the next signal may succeed
		}
		return err == nil && n == 0, nil
	})
	if err != nil {
		return failure
	}
	return nil
}

// send sends one signal and returns the number of the program's processes.
func (t *programKiller) send(ctx context.Context, name string, timeout time.Duration) (int, error) {
	if t.wrapper == nil {
		return 0, errCannotSignal
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.c.signal(ctx, t.task, name, t.state.parentPID, t.wrapper.session, "", timeout)
}

// stop cancels all pending signals and waits for them to return.
func (t *programKiller) stop() {
	for _, cancel := range t.cancels {
		cancel()
	}
	t.pending.Wait()
}
