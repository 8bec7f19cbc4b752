package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/creack/pty"

	"nomadctld/internal/nomadsim/store"
)

// errPluginShutDown is the error of an exec whose task has exited.
var errPluginShutDown = errors.New("plugin is shut down")

// Exec runs the program until it exits, its task exits, its output cannot be sent or ctx ends. It returns nil if the
// result was sent or ctx has ended.
func (ag *Agents) Exec(ctx context.Context, s execClient, e *ExecRequest) error {
	pause := time.NewTimer(e.Node.Spec.Slow)
	defer pause.Stop()
	delay := pause.C
	if e.Node.Spec.Hangs {
		delay = nil
	}
	select {
	case <-delay:
	case <-ctx.Done():
		return nil
	}
	d, err := ag.Dir(e.Allocation)
	if err != nil {
		return err
	}
	ctx, kill := context.WithCancel(ctx)
	var taskExited atomic.Bool
	var watcher sync.WaitGroup
	watcher.Go(func() {
		ag.waitForTaskExit(ctx, e)
		taskExited.Store(ctx.Err() == nil)
		kill()
	})
	defer watcher.Wait()
	defer kill()
	cmd := d.command(ctx, e.Allocation, e.Task, e.Command)
	x := &execProcess{s, ctx, kill, cmd, make(chan struct{}), e.Task.Driver == "podman"}
	if e.TTY {
		err = x.runOnTerminal()
	} else {
		err = x.runOnPipes()
	}
	switch failed, notStarted := errors.AsType[startError](err); {
	case taskExited.Load():
		return errPluginShutDown
	case notStarted && e.Task.Driver == "docker":
		// In a container, the exec process itself starts and then fails to execute the program.
		var path *fs.PathError
		if reason := failed.error; errors.Is(reason, fs.ErrNotExist) && errors.As(reason, &path) {
			failed.error = fmt.Errorf("exec: %q: stat %s: %w", path.Path, path.Path, path.Err)
		} else if errors.As(reason, &path) {
			failed.error = fmt.Errorf("exec: %q: %w", path.Path, path.Err)
		}
		text := fmt.Sprintf("OCI runtime exec failed: exec failed: unable to start container process: %v: unknown\r\n",
			failed.error)
		s.Send(ExecOutput{Stdout: &Stream{Data: []byte(text)}})
		s.Send(ExecOutput{Stdout: &Stream{Close: true}})
		s.Send(ExecOutput{Stderr: &Stream{Close: true}})
		return s.Send(ExecOutput{Exited: true, Result: &execResult{126}})
	case notStarted:
		return fmt.Errorf("rpc error: code = Unknown desc = failed to start command: %w", failed.error)
	case err != nil:
		return err
	case ctx.Err() != nil:
		return s.ReadError()
	}
	code, _ := exitCode(cmd.ProcessState)
	return s.Send(ExecOutput{Exited: true, Result: &execResult{code}})
}

type startError struct{ error }

// execProcess is the program of an exec with its input and output.
type execProcess struct {
	execClient
	ctx    context.Context // kills the program
	kill   context.CancelFunc
	cmd    *exec.Cmd
	exited chan struct{}

	ignoresEOF bool // the driver does not forward the end of stdin
}

// runOnPipes runs the program without a terminal. As in Nomad, the exec of an exited program ends only when the
// client has closed stdin, or has sent input that no process reads. A client that keeps stdin open waits forever.
func (x *execProcess) runOnPipes() error {
	var parentEnds, childEnds []*os.File
	defer func() { closeAll(parentEnds) }()
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(childEnds)
			return err
		}
		if len(parentEnds) == 0 {
			r, w = w, r
		}
		parentEnds, childEnds = append(parentEnds, r), append(childEnds, w)
	}
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = childEnds[0], childEnds[1], childEnds[2]
	err := x.cmd.Start()
	closeAll(childEnds)
	if err != nil {
		return startError{err}
	}
	// A process that left the session may keep the other ends open forever.
	defer context.AfterFunc(x.ctx, func() { closeAll(parentEnds) })()
	var copying sync.WaitGroup
	copying.Go(func() { x.copyStdin(parentEnds[0], false) })
	copying.Go(func() { x.copyOutput(parentEnds[1], func(o *Stream) ExecOutput { return ExecOutput{Stdout: o} }) })
	copying.Go(func() { x.copyOutput(parentEnds[2], func(o *Stream) ExecOutput { return ExecOutput{Stderr: o} }) })
	x.cmd.Wait()
	close(x.exited)
	copying.Wait()
	return nil
}

// runOnTerminal runs the program on a terminal. If the client closes stdin, the terminal is closed, which the
// program does not notice. After that, only one more chunk of output is sent, and stdout is not closed.
func (x *execProcess) runOnTerminal() error {
	master, slave, err := pty.Open()
	if err != nil {
		return fmt.Errorf("failed to open a tty: %w", err)
	}
	defer master.Close()
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = slave, slave, slave
	setSession(x.cmd, true)
	if err := x.cmd.Start(); err != nil {
		slave.Close()
		return startError{err}
	}
	var copying sync.WaitGroup
	copying.Go(func() { x.copyStdin(master, true) })
	copying.Go(func() { x.copyOutput(master, func(o *Stream) ExecOutput { return ExecOutput{Stdout: o} }) })
	x.cmd.Wait()
	slave.Close()
	close(x.exited)
	copying.Wait()
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// waitForTaskExit returns when the task is no longer running, or when ctx ends.
func (ag *Agents) waitForTaskExit(ctx context.Context, e *ExecRequest) {
	for ctx.Err() == nil {
		var a *store.Allocation
		var changed <-chan struct{}
		ag.store.View(func(st *store.State) { a, changed = st.AllocationByID(e.Allocation.ID), st.Changes() })
		if a == nil || a.TaskStates[e.Task.Name] == nil || a.TaskStates[e.Task.Name].State != "running" {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
