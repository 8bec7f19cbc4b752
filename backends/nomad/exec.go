package nomad

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

const (
	// startTimeout limits the start of a program. With Nomad's exec driver, a task without a shell would never respond.
	startTimeout = 20 * time.Second

	// exitGrace is how long Nomad may take to report an exit that the wrapper has already reported. While a background
	// child holds the streams, Nomad does not report it.
	exitGrace = 250 * time.Millisecond
)

// Exec runs a program under a wrapper script in the task's shell. In a task without a shell it runs the program
// directly. Then the program cannot be signaled, and Exec cannot detect lost output.
func (c *Client) Exec(ctx context.Context, in backends.TaskRef, p backends.Program) (int, error) {
	switch {
	case len(p.Argv) == 0:
		return 0, fmt.Errorf("exec of an empty command: %w", backends.ErrUnsupported)
	case p.User != "":
		return 0, fmt.Errorf("exec as user %q: %w through Nomad (needs Docker)", p.User, backends.ErrUnsupported)
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	}
	w, err := wrapProgram(p, in.Driver)
	if err != nil {
		return 0, err
	}
	// Fail before taking a slot if the token cannot be read.
	if _, err := c.queryOptions(ctx, ""); err != nil {
		return 0, err
	}
	release, err := c.conns.programSlots.Acquire(ctx, 1)
	if err != nil {
		return 0, err
	}
	defer release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	failed := func(err error) { cancel(fmt.Errorf("cannot write the program's output: %w", err)) }
	stdout, stderr := newBatchWriter(p.Stdout, failed), newBatchWriter(p.Stderr, failed)
	defer stdout.close(errWriterClosed)
	defer stderr.close(errWriterClosed)
	p.Stdout, p.Stderr = stdout, stderr
	code, err := c.runProgram(ctx, in, p, &w)
	if errors.Is(err, errNoShell) {
		if needsShell(p) {
			return 0, fmt.Errorf("exec with a directory or environment: %w in a task without /bin/sh (needs Docker)",
				backends.ErrUnsupported)
		}
		code, err = c.runProgram(ctx, in, p, nil)
	}
	stdout.flush(ctx)
	stderr.flush(ctx)
	if err == nil && ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return code, err
}

// programState is what the wrapper has reported about a program. The fields below the channels are set before started
// or exited is closed.
type programState struct {
	started   chan struct{} // closed when the wrapper has reported the start or a failure; without a wrapper, at once
	running   chan struct{} // closed when the program runs and may get its input
	exited    chan struct{} // closed when all output has arrived and exitCode is set
	outputErr chan error    // write errors of p.Stdout and p.Stderr
	sizes     chan api.TerminalSize

	startState byte   // R: running, N: not found, X: not executable, D: directory not accessible
	parentPID  string // of the wrapper process whose child is the program
	shellPID   string // of the first wrapper process; it differs from parentPID if the input is framed
	framed     bool   // the wrapper expects framed input
	exitCode   int
}

// runProgram runs p under the wrapper w, or directly if w is nil.
//
// A goroutine runs the websocket; it copies input and output. The output passes markerFilters, which remove the
// wrapper's markers and close the channels of programState. The loop below handles the events, in any order, until it
// knows the result:
//
//   - results: the websocket has finished, with Nomad's exit code or an error. Normally this is the end. If the
//     connection was lost, the program is still running, because Nomad does not kill it, so the loop kills it first.
//   - exited: the wrapper has reported the exit code. Nomad gets exitGrace to finish the websocket. After that the
//     loop returns, because a background child may hold the websocket open for as long as it runs.
//   - ctxDone and outputErr: nobody wants the output any more. The loop kills the program and returns the cause.
//   - killed: the program has been killed, or could not be.
//   - signals and resized: forwarded to the program. The size is sent again after the start, because Docker ignores
//     it before.
//   - startTimer: the wrapper has reported nothing, so the loop gives up.
//
// cause is set once the program is being killed. The connection stays open until runProgram returns, even if ctx
// ends, because closing it does not kill the program.
func (c *Client) runProgram(
	ctx context.Context, in backends.TaskRef, p backends.Program, w *wrappedCommand,
) (int, error) {
	r := &programState{
		started: make(chan struct{}), running: make(chan struct{}), exited: make(chan struct{}),
		outputErr: make(chan error, 2), sizes: make(chan api.TerminalSize, 1),
	}
	out := r.newOutputs(p, w)
	done := make(chan struct{})
	defer close(done)
	command := p.Argv
	if w != nil {
		command = w.command
	} else {
		close(r.started)
		close(r.running)
	}
	connCtx, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	stdin := newStdinReader(p, r, done, w != nil)
	results := make(chan error, 1)
	var nomadCode int // set before a value is sent to results
	finishedCleanly := false
	r.sendSize(p.Terminal)
	var websocket sync.WaitGroup
	websocket.Go(func() {
		results <- safego.Protect(func() (err error) {
			nomadCode, err = c.execWebsocket(connCtx, in, execRequest{
				command: command, stdin: stdin, stdout: out.stdout, stderr: out.stderr,
				terminal: p.Terminal != nil, sizes: r.sizes,
			})
			return err
		})
	})
	killer := programKiller{c: c, task: in, wrapper: w, state: r}
	defer func() {
		killer.stop()
		if !finishedCleanly && needsFramedStdin(in.Driver) {
			c.killShell(ctx, in, r, w)
		}
		disconnect()
		websocket.Wait()
		out.mute()
	}()

	var resized <-chan struct{}
	if p.Terminal != nil {
		resized = p.Terminal.Resized()
	}
	startTimer := time.NewTimer(startTimeout)
	defer startTimer.Stop()
	ctxDone, started, exited, signals := ctx.Done(), r.started, r.exited, p.Signals
	var grace <-chan time.Time
	var killed <-chan error
	var cause error
	for {
		select {
		case err := <-results:
			finishedCleanly = err == nil
			if cause == nil && err != nil && r.mayBeRunning(w) {
				cause, ctxDone, signals = streamError(err, true), nil, nil
				killed = killer.startKill(ctx)
				continue
			}
			if cause == nil {
				out.flush()
				return r.result(p, out, w, nomadCode, err)
			}
			if err == nil || !r.hasStarted() || exited == nil {
				return 0, cause
			}
			// The connection was lost while the program is being killed: wait for killed.
		case <-exited:
			exited, grace = nil, time.After(exitGrace)
		case <-grace:
			if w != nil && p.Terminal == nil && !stdin.sourceEOF.Load() {
				c.killShell(ctx, in, r, w) // it may be reading input, and would never get EOF
			}
			if cause != nil {
				return 0, cause
			}
			return r.result(p, out, w, r.exitCode, nil)
		case <-ctxDone:
			cause, ctxDone, signals = context.Cause(ctx), nil, nil
			killed = killer.startKill(ctx)
		case err := <-r.outputErr:
			if cause == nil {
				cause, ctxDone, signals = fmt.Errorf("cannot write the program's output: %w", err), nil, nil
				killed = killer.startKill(ctx)
			}
		case err := <-killed:
			if err != nil {
				return 0, &backends.StillRunningError{Cause: cause, Err: err}
			}
			return 0, cause
		case name, more := <-signals:
			if !more {
				signals = nil
				continue
			}
			killer.signal(ctx, name)
		case <-started:
			started = nil
			r.sendSize(p.Terminal)
		case <-resized:
			r.sendSize(p.Terminal)
		case <-startTimer.C:
			if !r.hasStarted() && cause == nil {
				return 0, &backends.StillRunningError{
					Cause: fmt.Errorf("the task's shell did not start %s within %s", p.Argv[0], startTimeout),
					Err:   errors.New("it may start later"),
				}
			}
		}
	}
}

// killShell kills the wrapper processes that may still be waiting for input after the program has
// exited.
func (c *Client) killShell(ctx context.Context, in backends.TaskRef, r *programState, w *wrappedCommand) {
	if w != nil && r.hasStarted() {
		_, _ = c.signal(context.WithoutCancel(ctx), in, "KILL", r.shellPID, w.session, "shell", stepTimeout)
	}
}

// hasStarted reports whether started is closed.
func (r *programState) hasStarted() bool {
	select {
	case <-r.started:
		return true
	default:
		return false
	}
}

// mayBeRunning reports whether the wrapper w has reported that the program is running, and not that it has exited.
func (r *programState) mayBeRunning(w *wrappedCommand) bool {
	select {
	case <-r.exited:
		return false
	default:
		return w != nil && r.hasStarted() && r.startState == 'R'
	}
}

// sendSize queues the current size and drops an older one that has not been sent yet.
func (r *programState) sendSize(t backends.Terminal) {
	if t == nil {
		return
	}
	columns, rows := t.Size()
	if columns <= 0 || rows <= 0 {
		return
	}
	select {
	case <-r.sizes:
	default:
	}
	r.sizes <- api.TerminalSize{Width: columns, Height: rows}
}
