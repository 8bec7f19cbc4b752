package nomad

import (
	"context"
	"errors"
	"sync"
	"time"

	"nomadctld/backends"
)

// ender signals a program through other sockets, one after the other.
type ender struct {
	c       *Client
	in      backends.TaskRef
	session *shell
	r       *running

	mu      sync.Mutex // one signal at a time
	waiting sync.WaitGroup
	stops   []context.CancelFunc
	last    <-chan struct{} // closed when the signal before has been sent
}

// errNoProcess is of a program that runs without the shell.
var errNoProcess = errors.New("the task has no /bin/sh, without which Nomad cannot signal it")

// signal sends a signal in the background. One that cannot be sent, several times, is lost.
func (e *ender) signal(ctx context.Context, name string) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stops = append(e.stops, stop)
	before, done := e.last, make(chan struct{})
	e.last = done
	e.waiting.Go(func() {
		defer close(done)
		if before != nil { // they come in their order
			<-before
		}
		select {
		case <-e.r.began:
			for range passAttempts {
				if n, err := e.send(ctx, name, passTimeout); err == nil && n > 0 || ctx.Err() != nil {
					return
				}
			}
		case <-ctx.Done():
		}
	})
}

// begin ends the program: HUP, TERM and KILL. The channel gets nil when it is gone, or why it is not; nothing may come
// when it ends in its ordinary way meanwhile.
func (e *ender) begin(ctx context.Context) <-chan error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), leaveAfter)
	e.stops = append(e.stops, stop)
	gone := make(chan error, 1)
	e.waiting.Go(func() { gone <- e.end(ctx) })
	return gone
}

func (e *ender) end(ctx context.Context) error {
	begin := time.Now()
	if e.session == nil {
		return errNoProcess
	}
	select {
	case <-e.r.began:
	case <-ctx.Done():
		return errors.New("it is not known whether it has begun")
	}
	const look = "0" // signals nobody
	failure := errors.New("it goes on")
	for _, step := range []struct {
		name  string
		after time.Duration
	}{{"HUP", 0}, {look, time.Second}, {"TERM", termAfter}, {look, termAfter + time.Second}, {"KILL", killAfter}, {"KILL", killAfter + time.Second}, {look, killAfter + 2*time.Second}} {
		select {
		case <-time.After(time.Until(begin.Add(step.after))):
		case <-ctx.Done():
			return failure
		}
		switch n, err := e.send(ctx, step.name, signalTimeout); {
		case err != nil:
			failure = err
		case n == 0:
			return nil
		}
	}
	return failure
}

func (e *ender) send(ctx context.Context, name string, within time.Duration) (int, error) {
	if e.session == nil {
		return 0, errNoProcess
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.c.signal(ctx, e.in, name, e.r.pid, e.session.session, "", within)
}

// wait ends what is still on its way.
func (e *ender) wait() {
	for _, stop := range e.stops {
		stop()
	}
	e.waiting.Wait()
}
