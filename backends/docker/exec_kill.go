package docker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
)

const (
	endLimit = 10 * time.Second
	endPoll  = 100 * time.Millisecond
	lastCall = 2 * time.Second // for output that nobody may be reading
)

// endings are what a program that has to end is told, and after which time.
var endings = []struct {
	after  time.Duration
	signal string
	key    byte // what a terminal makes of it, where there is no shell to send signals
}{
	{0, "HUP", 3}, {3 * time.Second, "TERM", 0x1c}, {6 * time.Second, "KILL", 0x1c},
}

// end ends the program because of cause, and returns it, in a *backends.StillRunningError if the program did not end.
func (e *execution) end(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	var telling sync.WaitGroup
	var failed error
	telling.Go(func() {
		failed = backends.Protect(func() error { return e.tell(ctx) })
	})
	err := e.ended(ctx)
	cancel()
	telling.Wait()
	if err == nil {
		e.stream.out.drain()
		select {
		case <-e.stream.done:
		case <-time.After(lastCall):
		}
	}
	e.stream.close()
	select {
	case <-e.stream.done:
	case <-time.After(lastCall): // somebody's Write never returns
	}
	if err == nil {
		if n := e.zombies(); n > 0 {
			return &backends.ZombiesError{Cause: cause, Count: n}
		}
		return cause
	}
	if failed == nil {
		failed = err
	}
	return &backends.StillRunningError{Cause: cause, Err: failed}
}

// ended waits until the program has ended, and says so, or why that is not known.
func (e *execution) ended(ctx context.Context) error {
	name, node := shown(e.program.Argv[0]), shown(e.place.Node.Name)
	err := fmt.Errorf("%s on node %s", name, node)
	for {
		asked, cancel := context.WithTimeout(ctx, answerTimeout)
		is, failed := e.speaker.execution(asked, e.id)
		cancel()
		var gone *dockerclient.Error
		switch {
		case errors.As(failed, &gone) && gone.Status == 404:
			if e.isForgotten(ctx) {
				return nil
			}
			err = fmt.Errorf("%s may go on in its container on node %s, whose daemon does not know it any more", name, node)
		case failed == nil && is.ended():
			return nil
		case failed == nil && !is.Running && e.isDone():
			return nil // it was never started
		case failed == nil && is.Pid != 0:
			err = fmt.Errorf("%s, process %d of node %s, does not end", name, is.Pid, node)
		case failed != nil && ctx.Err() == nil:
			err = explain(ctx, e.place.Node, failed)
		}
		select {
		case <-time.After(endPoll):
		case <-ctx.Done():
			return err
		}
	}
}

// isForgotten reports whether a program that the daemon does not know is not there any more. It went with its container,
// unless the daemon was restarted and has let containers run meanwhile.
func (e *execution) isForgotten(ctx context.Context) bool {
	body, err := e.speaker.inspect(ctx, e.container, e.place.Task, e.place.Allocation.ID)
	if err != nil {
		return false
	}
	if is, err := parse(body); body == nil || err == nil && !is.State.Running {
		return true
	}
	return errors.Is(e.signalAs(ctx, "0", "0"), errNobody) // as root, and signal 0 reaches nobody
}

func (e *execution) isDone() bool {
	select {
	case <-e.stream.done:
		return true
	default:
		return false
	}
}

// tell tells the program to end, more and more clearly, until ctx ends. It returns why it could not be told.
func (e *execution) tell(ctx context.Context) (err error) {
	begin := time.Now()
	for _, ending := range endings {
		select {
		case <-time.After(time.Until(begin.Add(ending.after))):
		case <-ctx.Done():
			return err
		}
		failed := e.signal(ctx, ending.signal)
		if ctx.Err() != nil {
			return err
		}
		err = nil
		if failed != nil {
			is, _ := e.speaker.execution(ctx, e.id)
			err = fmt.Errorf("%w: %s is process %d of node %s", failed, shown(e.program.Argv[0]), is.Pid, shown(e.place.Node.Name))
			if isDeaf(failed) || ending.signal == "KILL" { // else the next signal may reach it
				e.hangUp(ending.key)
			}
		}
	}
	return err
}

// hangUp does what can be done without a signal.
func (e *execution) hangUp(key byte) {
	e.stream.wire.SetWriteDeadline(time.Now().Add(time.Second)) // it may have stopped reading long ago
	if e.program.Terminal == nil {
		e.stream.wire.endInput()
		return
	}
	e.stream.wire.Write([]byte{key})
}
