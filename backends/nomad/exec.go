package nomad

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

const (
	// startTimeout is for a program to begin. Nomad's exec driver never says that a task has no shell.
	startTimeout = 20 * time.Second

	// exitGrace is how long Nomad may take to tell an end that the wrapper has told already. It does not while a
	// child in the background holds the streams.
	exitGrace = 250 * time.Millisecond
)

// Exec runs a program below the task's shell, or as it is where the task has none; then nobody can signal it, and whether
// all of its output came is Nomad's word.
func (c *Client) Exec(ctx context.Context, in backends.TaskRef, p backends.Program) (int, error) {
	switch {
	case len(p.Argv) == 0:
		return 0, fmt.Errorf("an empty command %w", backends.ErrUnsupported)
	case p.User != "":
		return 0, fmt.Errorf("running as another user %w through Nomad: it needs Docker", backends.ErrUnsupported)
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	}
	s, err := wrapProgram(p, in.Driver)
	if err != nil {
		return 0, err
	}
	if _, err := c.query(ctx, ""); err != nil {
		return 0, err
	}
	leave, err := c.conns.programSlots.Acquire(ctx, 1)
	if err != nil {
		return 0, err
	}
	defer leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	failed := func(err error) { cancel(fmt.Errorf("its output cannot be passed on: %w", err)) }
	stdout, stderr := newCoalescer(p.Stdout, failed), newCoalescer(p.Stderr, failed)
	defer stdout.close(errWriterClosed)
	defer stderr.close(errWriterClosed)
	p.Stdout, p.Stderr = stdout, stderr
	code, err := c.runProgram(ctx, in, p, &s)
	if errors.Is(err, errNoShell) {
		if needsShell(p) {
			return 0, fmt.Errorf("a directory or environment %w: the task has no /bin/sh, without which it needs Docker", backends.ErrUnsupported)
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

// programState is a program and what is known of it.
type programState struct {
	started    chan struct{} // closed: the shell has said what it makes of the program
	running    chan struct{} // closed: the program runs, and may have its input
	exited     chan struct{} // closed: all that it wrote has come, and code is its exit code
	outputErr  chan error    // what p.Stdout or p.Stderr did not take
	startState byte          // of the wrapper's first mark
	pid        string        // of the wrapper, or of the part of it that has the program
	shellPID   string        // the wrapper's own process
	framed     bool          // the input has to come in frames
	exitCode   int
	sizes      chan api.TerminalSize
}

// runProgram runs p, below the shell if s is not nil.
func (c *Client) runProgram(ctx context.Context, in backends.TaskRef, p backends.Program, s *wrappedCommand) (int, error) {
	r := &programState{
		started: make(chan struct{}), running: make(chan struct{}), exited: make(chan struct{}), outputErr: make(chan error, 2), sizes: make(chan api.TerminalSize, 1),
	}
	out := r.newOutputs(p, s)
	done := make(chan struct{})
	defer close(done)
	command := p.Argv
	if s != nil {
		command = s.command
	} else {
		close(r.started)
		close(r.running)
	}
	// The connection lives on when ctx ends: the program has to be ended first.
	wire, cut := context.WithCancel(context.WithoutCancel(ctx))
	stdin := newStdinReader(p, r, done, s != nil)
	results := make(chan error, 1)
	var told int // by Nomad; it may be read once results has given something
	answered := false
	r.sendSize(p.Terminal)
	var library sync.WaitGroup
	library.Go(func() {
		results <- backends.Protect(func() (err error) {
			told, err = c.execWebsocket(wire, in, execRequest{
				command: command, stdin: stdin, stdout: out.stdout, stderr: out.stderr,
				terminal: p.Terminal != nil, sizes: r.sizes,
			})
			return err
		})
	})
	end := terminator{c: c, task: in, wrapper: s, state: r}
	defer func() {
		end.stop()
		if !answered && needsFramedStdin(in.Driver) {
			c.killShell(ctx, in, r, s)
		}
		cut()
		library.Wait()
		out.mute()
	}()

	var resized <-chan struct{}
	if p.Terminal != nil {
		resized = p.Terminal.Resized()
	}
	start := time.NewTimer(startTimeout)
	defer start.Stop()
	over, began, ended, signals := ctx.Done(), r.started, r.exited, p.Signals
	var linger <-chan time.Time
	var gone <-chan error
	var cause error
	for {
		select {
		case err := <-results:
			answered = err == nil
			if cause == nil && err != nil && r.mayBeRunning(s) {
				cause, over, signals = streamError(err, "ended"), nil, nil
				gone = end.start(ctx) // Nomad does not end a program whose connection is lost
				continue
			}
			if cause == nil {
				out.flush()
				return r.result(p, out, s, told, err)
			}
			if err == nil || !r.hasStarted() || ended == nil {
				return 0, cause
			}
			// The connection was lost, and whether the program is gone too is still to be found out.
		case <-ended:
			ended, linger = nil, time.After(exitGrace)
		case <-linger:
			if s != nil && p.Terminal == nil && !stdin.complete.Load() {
				c.killShell(ctx, in, r, s) // which may still read, and would for ever when the connection is cut
			}
			if cause != nil {
				return 0, cause
			}
			return r.result(p, out, s, r.exitCode, nil)
		case <-over:
			cause, over, signals = context.Cause(ctx), nil, nil
			gone = end.start(ctx)
		case err := <-r.outputErr:
			if cause == nil {
				cause, over, signals = fmt.Errorf("its output cannot be passed on: %w", err), nil, nil
				gone = end.start(ctx)
			}
		case err := <-gone:
			if err != nil {
				return 0, &backends.StillRunningError{Cause: cause, Err: err}
			}
			return 0, cause
		case name, more := <-signals:
			if !more {
				signals = nil
				continue
			}
			end.signal(ctx, name)
		case <-began:
			began = nil
			r.sendSize(p.Terminal) // what was told before may have come too early
		case <-resized:
			r.sendSize(p.Terminal)
		case <-start.C:
			if !r.hasStarted() && cause == nil {
				return 0, &backends.StillRunningError{
					Cause: fmt.Errorf("the task's shell has not begun %s within %s", p.Argv[0], startTimeout),
					Err:   errors.New("it may begin later"),
				}
			}
		}
	}
}

// killShell ends what of the wrapper may still wait for input, once the program has ended or is left to itself.
func (c *Client) killShell(ctx context.Context, in backends.TaskRef, r *programState, s *wrappedCommand) {
	if s != nil && r.hasStarted() {
		_, _ = c.signal(context.WithoutCancel(ctx), in, "KILL", r.shellPID, s.session, "shell", stepTimeout)
	}
}

// hasStarted reports whether the wrapper's first mark has come.
func (r *programState) hasStarted() bool {
	select {
	case <-r.started:
		return true
	default:
		return false
	}
}

// mayBeRunning reports whether the program was running when last heard of, as far as the shell s has told.
func (r *programState) mayBeRunning(s *wrappedCommand) bool {
	select {
	case <-r.exited:
		return false
	default:
		return s != nil && r.hasStarted() && r.startState == 'R'
	}
}

// sendSize tells the latest size; one that has not been sent yet is not needed any more.
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
