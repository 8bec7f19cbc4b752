package nomad

import (
	"context"
	"errors"
	"sync"
	"time"

	"nomadctld/backends"
)

// terminator signals a program through other sockets, one after the other.
type terminator struct {
	c       *Client
	task    backends.TaskRef
	wrapper *wrappedCommand
	state   *programState

	mu       sync.Mutex // one signal at a time
	pending  sync.WaitGroup
	cancels  []context.CancelFunc
	lastSent <-chan struct{} // closed when the signal before has been sent
}

// errCannotSignal is of a program that runs without the shell.
var errCannotSignal = errors.New("the task has no /bin/sh, without which Nomad cannot signal it")

// signal sends a signal in the background. One that cannot be sent, several times, is lost.
func (e *terminator) signal(ctx context.Context, name string) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.cancels = append(e.cancels, stop)
	before, done := e.lastSent, make(chan struct{})
	e.lastSent = done
	e.pending.Go(func() {
		defer close(done)
		if before != nil { // they come in their order
			<-before
		}
		select {
		case <-e.state.started:
			for range userSignalAttempts {
				if n, err := e.send(ctx, name, userSignalTimeout); err == nil && n > 0 || ctx.Err() != nil {
					return
				}
			}
		case <-ctx.Done():
		}
	})
}

// start ends the program: HUP, TERM and KILL. The channel gets nil when it is gone, or why it is not; nothing may come
// when it ends in its ordinary way meanwhile.
func (e *terminator) start(ctx context.Context) <-chan error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), terminateTimeout)
	e.cancels = append(e.cancels, stop)
	gone := make(chan error, 1)
	e.pending.Go(func() { gone <- e.terminate(ctx) })
	return gone
}

func (e *terminator) terminate(ctx context.Context) error {
	begin := time.Now()
	if e.wrapper == nil {
		return errCannotSignal
	}
	select {
	case <-e.state.started:
	case <-ctx.Done():
		return errors.New("it is not known whether it has begun")
	}
	const look = "0" // signals nobody
	failure := errors.New("it goes on")
	for _, step := range []struct {
		name  string
		after time.Duration
	}{{"HUP", 0}, {look, time.Second}, {"TERM", termDelay}, {look, termDelay + time.Second}, {"KILL", killDelay}, {"KILL", killDelay + time.Second}, {look, killDelay + 2*time.Second}} {
		select {
		case <-time.After(time.Until(begin.Add(step.after))):
		case <-ctx.Done():
			return failure
		}
		switch n, err := e.send(ctx, step.name, stepTimeout); {
		case err != nil:
			failure = err
		case n == 0:
			return nil
		}
	}
	return failure
}

func (e *terminator) send(ctx context.Context, name string, within time.Duration) (int, error) {
	if e.wrapper == nil {
		return 0, errCannotSignal
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.c.signal(ctx, e.task, name, e.state.pid, e.wrapper.session, "", within)
}

// stop ends what is still on its way.
func (e *terminator) stop() {
	for _, stop := range e.cancels {
		stop()
	}
	e.pending.Wait()
}
