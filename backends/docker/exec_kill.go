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
	terminateTimeout      = 10 * time.Second
	terminatePollInterval = 100 * time.Millisecond
	streamCloseTimeout    = 2 * time.Second // for output that nobody may be reading
)

// terminateSteps are what a program that has to end is told, and after which time.
var terminateSteps = []struct {
	after  time.Duration
	signal string
	key    byte // what a terminal makes of it, where there is no shell to send signals
}{
	{0, "HUP", 3}, {3 * time.Second, "TERM", 0x1c}, {6 * time.Second, "KILL", 0x1c},
}

// terminate ends the program because of cause, and returns it, in a *backends.StillRunningError if the program did not end.
func (e *execInstance) terminate(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), terminateTimeout)
	var telling sync.WaitGroup
	var failed error
	telling.Go(func() {
		failed = backends.Protect(func() error { return e.escalate(ctx) })
	})
	err := e.waitExited(ctx)
	cancel()
	telling.Wait()
	if err == nil {
		e.stream.out.drain()
		select {
		case <-e.stream.done:
		case <-time.After(streamCloseTimeout):
		}
	}
	e.stream.close()
	select {
	case <-e.stream.done:
	case <-time.After(streamCloseTimeout): // somebody's Write never returns
	}
	if err == nil {
		if n := e.countZombies(); n > 0 {
			return &backends.ZombiesError{Cause: cause, Count: n}
		}
		return cause
	}
	if failed == nil {
		failed = err
	}
	return &backends.StillRunningError{Cause: cause, Err: failed}
}

// waitExited waits until the program has ended, and says so, or why that is not known.
func (e *execInstance) waitExited(ctx context.Context) error {
	name, node := displayName(e.program.Argv[0]), displayName(e.ref.Node.Name)
	err := fmt.Errorf("%s on node %s", name, node)
	for {
		asked, cancel := context.WithTimeout(ctx, responseTimeout)
		is, failed := e.api.inspectExec(asked, e.id)
		cancel()
		var gone *dockerclient.Error
		switch {
		case errors.As(failed, &gone) && gone.Status == 404:
			if e.isGone(ctx) {
				return nil
			}
			err = fmt.Errorf("%s may go on in its container on node %s, whose daemon does not know it any more", name, node)
		case failed == nil && is.exited():
			return nil
		case failed == nil && !is.Running && e.isStreamDone():
			return nil // it was never started
		case failed == nil && is.Pid != 0:
			err = fmt.Errorf("%s, process %d of node %s, does not end", name, is.Pid, node)
		case failed != nil && ctx.Err() == nil:
			err = explain(ctx, e.ref.Node, failed)
		}
		select {
		case <-time.After(terminatePollInterval):
		case <-ctx.Done():
			return err
		}
	}
}

// isGone reports whether a program that the daemon does not know is not there any more. It went with its container,
// unless the daemon was restarted and has let containers run meanwhile.
func (e *execInstance) isGone(ctx context.Context) bool {
	body, err := e.api.inspect(ctx, e.containerID, e.ref.Task, e.ref.Allocation.ID)
	if err != nil {
		return false
	}
	if is, err := parseContainer(body); body == nil || err == nil && !is.State.Running {
		return true
	}
	return errors.Is(e.sendSignalAs(ctx, "0", "0"), errNoProcess) // as root, and signal 0 reaches nobody
}

func (e *execInstance) isStreamDone() bool {
	select {
	case <-e.stream.done:
		return true
	default:
		return false
	}
}

// escalate tells the program to end, more and more clearly, until ctx ends. It returns why it could not be told.
func (e *execInstance) escalate(ctx context.Context) (err error) {
	begin := time.Now()
	for _, ending := range terminateSteps {
		select {
		case <-time.After(time.Until(begin.Add(ending.after))):
		case <-ctx.Done():
			return err
		}
		failed := e.sendSignal(ctx, ending.signal)
		if ctx.Err() != nil {
			return err
		}
		err = nil
		if failed != nil {
			is, _ := e.api.inspectExec(ctx, e.id)
			err = fmt.Errorf("%w: %s is process %d of node %s", failed, displayName(e.program.Argv[0]), is.Pid, displayName(e.ref.Node.Name))
			if cannotBeSignaled(failed) || ending.signal == "KILL" { // else the next signal may reach it
				e.hangUp(ending.key)
			}
		}
	}
	return err
}

// hangUp does what can be done without a signal.
func (e *execInstance) hangUp(key byte) {
	e.stream.conn.SetWriteDeadline(time.Now().Add(time.Second)) // it may have stopped reading long ago
	if e.program.Terminal == nil {
		e.stream.conn.closeWrite()
		return
	}
	e.stream.conn.Write([]byte{key})
}
