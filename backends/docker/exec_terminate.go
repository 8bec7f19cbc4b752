package docker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
	"nomadctld/internal/safego"
	"nomadctld/internal/terminate"
)

const (
	terminatePollInterval = 100 * time.Millisecond
	afterKillTimeout      = 4 * time.Second // for the program to exit
)

// terminate stops the program and returns cause, in a *backends.StillRunningError or *backends.ZombiesError if
// processes are left.
func (e *execInstance) terminate(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.docker.termination.Timeout(afterKillTimeout))
	var escalating sync.WaitGroup
	var signalErr error
	escalating.Go(func() {
		signalErr = safego.Protect(func() error { return e.escalate(ctx) })
		afterKill := time.AfterFunc(afterKillTimeout, cancel)
		<-ctx.Done()
		afterKill.Stop()
	})
	err := e.waitExited(ctx)
	cancel()
	escalating.Wait()
	if err == nil {
		e.stream.out.drain()
		select {
		case <-e.stream.done:
		case <-time.After(e.docker.timeouts.streamClose):
		}
	}
	e.stream.close()
	select {
	case <-e.stream.done:
	case <-time.After(e.docker.timeouts.streamClose): // a Write that never returns
	}
	if err == nil {
		if n := e.countZombies(); n > 0 {
			return &backends.ZombiesError{Cause: cause, Count: n}
		}
		return cause
	}
	if signalErr == nil {
		signalErr = err
	}
	return &backends.StillRunningError{Cause: cause, Err: signalErr}
}

// waitExited waits until the program has exited. If ctx ends first, it returns an error with the last known state.
func (e *execInstance) waitExited(ctx context.Context) error {
	name, node := displayName(e.program.Argv[0]), displayName(e.ref.Node.Name)
	err := fmt.Errorf("the state of %s on node %s is unknown", name, node)
	for {
		inspectCtx, cancel := context.WithTimeout(ctx, responseTimeout)
		state, inspectErr := e.api.inspectExec(inspectCtx, e.id)
		cancel()
		var response *dockerclient.Error
		switch {
		case errors.As(inspectErr, &response) && response.Status == 404:
			if e.unknownExecExited(ctx) {
				return nil
			}
			err = fmt.Errorf("%s on node %s: the Docker daemon was restarted and does not know the program", name, node)
		case inspectErr == nil && state.exited():
			return nil
		case inspectErr == nil && !state.Running && e.isStreamDone():
			return nil // it was never started
		case inspectErr == nil && state.Pid != 0:
			err = fmt.Errorf("%s (process %d on node %s) does not exit", name, state.Pid, node)
		case inspectErr != nil && ctx.Err() == nil:
			err = explain(ctx, e.ref.Node, inspectErr)
		}
		select {
		case <-time.After(terminatePollInterval):
		case <-ctx.Done():
			return err
		}
	}
}

// unknownExecExited reports whether a program that the daemon does not know has exited. It exited with its container,
// unless the daemon was restarted while the container kept running.
func (e *execInstance) unknownExecExited(ctx context.Context) bool {
	body, err := e.api.inspect(ctx, e.containerID, e.ref.Task, e.ref.Allocation.ID)
	if err != nil {
		return false
	}
	if c, err := parseContainer(body); body == nil || err == nil && !c.State.Running {
		return true
	}
	return errors.Is(e.sendSignalAs(ctx, "0", "0"), errNoProcess) // as root; signal 0 only checks for existence
}

// isStreamDone reports whether the stream has ended.
func (e *execInstance) isStreamDone() bool {
	select {
	case <-e.stream.done:
		return true
	default:
		return false
	}
}

// escalate sends stronger and stronger signals until ctx ends. It returns the error of the last attempt.
func (e *execInstance) escalate(ctx context.Context) (err error) {
	steps := terminate.Intervals{Grace: e.docker.termination.Grace} // waitExited checks for the exit
	steps.Run(ctx, func(signal string) (bool, error) {
		signalErr := e.sendSignal(ctx, signal)
		if ctx.Err() != nil {
			return false, nil
		}
		err = nil
		if signalErr != nil {
			state, _ := e.api.inspectExec(ctx, e.id)
			err = fmt.Errorf("%w: %s is process %d on node %s",
				signalErr, displayName(e.program.Argv[0]), state.Pid, displayName(e.ref.Node.Name))
			if cannotBeSignaled(signalErr) || signal == "KILL" { // otherwise the next signal may succeed
				e.stopWithoutSignal(signal)
			}
		}
		return false, nil
	})
	return err
}

// stopWithoutSignal stops the program without a signal: it types a key on its terminal, or closes its stdin.
func (e *execInstance) stopWithoutSignal(signal string) {
	e.stream.conn.SetWriteDeadline(time.Now().Add(time.Second)) // the program may have stopped reading
	if e.program.Terminal == nil {
		e.stream.conn.closeWrite()
		return
	}
	key := byte(ctrlBackslash)
	if signal == "HUP" {
		key = ctrlC
	}
	e.stream.conn.Write([]byte{key})
}
