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

	// lingerAfterEnd is how long Nomad may take to tell an end that the wrapper has told already. It does not while a
	// child in the background holds the streams.
	lingerAfterEnd = 250 * time.Millisecond
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
	s, err := wrap(p, in.Driver)
	if err != nil {
		return 0, err
	}
	if _, err := c.query(ctx, ""); err != nil {
		return 0, err
	}
	leave, err := c.streams.programs.Acquire(ctx, 1)
	if err != nil {
		return 0, err
	}
	defer leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	failed := func(err error) { cancel(fmt.Errorf("its output cannot be passed on: %w", err)) }
	stdout, stderr := newBatch(p.Stdout, failed), newBatch(p.Stderr, failed)
	defer stdout.end(errEnded)
	defer stderr.end(errEnded)
	p.Stdout, p.Stderr = stdout, stderr
	code, err := c.run(ctx, in, p, &s)
	if errors.Is(err, errNoShell) {
		if asks(p) {
			return 0, fmt.Errorf("a directory or environment %w: the task has no /bin/sh, without which it needs Docker", backends.ErrUnsupported)
		}
		code, err = c.run(ctx, in, p, nil)
	}
	stdout.flush(ctx)
	stderr.flush(ctx)
	if err == nil && ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return code, err
}

// running is a program and what is known of it.
type running struct {
	began  chan struct{} // closed: the shell has said what it makes of the program
	runs   chan struct{} // closed: the program runs, and may have its input
	ended  chan struct{} // closed: all that it wrote has come, and code is its exit code
	broken chan error    // what p.Stdout or p.Stderr did not take
	state  byte          // of the wrapper's first mark
	pid    string        // of the wrapper, or of the part of it that has the program
	shell  string        // the wrapper's own process
	framed bool          // the input has to come in frames
	code   int
	sizes  chan api.TerminalSize
}

// run runs p, below the shell if s is not nil.
func (c *Client) run(ctx context.Context, in backends.TaskRef, p backends.Program, s *shell) (int, error) {
	r := &running{
		began: make(chan struct{}), runs: make(chan struct{}), ended: make(chan struct{}), broken: make(chan error, 2), sizes: make(chan api.TerminalSize, 1),
	}
	out := r.outputs(p, s)
	done := make(chan struct{})
	defer close(done)
	command := p.Argv
	if s != nil {
		command = s.command
	} else {
		close(r.began)
		close(r.runs)
	}
	// The connection lives on when ctx ends: the program has to be ended first.
	wire, cut := context.WithCancel(context.WithoutCancel(ctx))
	stdin := newInput(p, r, done, s != nil)
	results := make(chan error, 1)
	var told int // by Nomad; it may be read once results has given something
	answered := false
	r.resize(p.Terminal)
	var library sync.WaitGroup
	library.Go(func() {
		results <- backends.Protect(func() (err error) {
			told, err = c.socket(wire, in, socket{
				command: command, stdin: stdin, stdout: out.stdout, stderr: out.stderr,
				terminal: p.Terminal != nil, sizes: r.sizes,
			})
			return err
		})
	})
	end := ender{c: c, in: in, session: s, r: r}
	defer func() {
		end.wait()
		if !answered && endless(in.Driver) {
			c.endShell(ctx, in, r, s)
		}
		cut()
		library.Wait()
		out.stop()
	}()

	var resized <-chan struct{}
	if p.Terminal != nil {
		resized = p.Terminal.Resized()
	}
	start := time.NewTimer(startTimeout)
	defer start.Stop()
	over, began, ended, signals := ctx.Done(), r.began, r.ended, p.Signals
	var linger <-chan time.Time
	var gone <-chan error
	var cause error
	for {
		select {
		case err := <-results:
			answered = err == nil
			if cause == nil && err != nil && r.goesOn(s) {
				cause, over, signals = refusal(err, "ended"), nil, nil
				gone = end.begin(ctx) // Nomad does not end a program whose connection is lost
				continue
			}
			if cause == nil {
				out.finish()
				return r.verdict(p, out, s, told, err)
			}
			if err == nil || !r.hasBegun() || ended == nil {
				return 0, cause
			}
			// The connection was lost, and whether the program is gone too is still to be found out.
		case <-ended:
			ended, linger = nil, time.After(lingerAfterEnd)
		case <-linger:
			if s != nil && p.Terminal == nil && !stdin.complete.Load() {
				c.endShell(ctx, in, r, s) // which may still read, and would for ever when the connection is cut
			}
			if cause != nil {
				return 0, cause
			}
			return r.verdict(p, out, s, r.code, nil)
		case <-over:
			cause, over, signals = context.Cause(ctx), nil, nil
			gone = end.begin(ctx)
		case err := <-r.broken:
			if cause == nil {
				cause, over, signals = fmt.Errorf("its output cannot be passed on: %w", err), nil, nil
				gone = end.begin(ctx)
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
			r.resize(p.Terminal) // what was told before may have come too early
		case <-resized:
			r.resize(p.Terminal)
		case <-start.C:
			if !r.hasBegun() && cause == nil {
				return 0, &backends.StillRunningError{
					Cause: fmt.Errorf("the task's shell has not begun %s within %s", p.Argv[0], startTimeout),
					Err:   errors.New("it may begin later"),
				}
			}
		}
	}
}

// endShell ends what of the wrapper may still wait for input, once the program has ended or is left to itself.
func (c *Client) endShell(ctx context.Context, in backends.TaskRef, r *running, s *shell) {
	if s != nil && r.hasBegun() {
		_, _ = c.signal(context.WithoutCancel(ctx), in, "KILL", r.shell, s.session, "shell", signalTimeout)
	}
}

// hasBegun reports whether the wrapper's first mark has come.
func (r *running) hasBegun() bool {
	select {
	case <-r.began:
		return true
	default:
		return false
	}
}

// goesOn reports whether the program was running when last heard of, as far as the shell s has told.
func (r *running) goesOn(s *shell) bool {
	select {
	case <-r.ended:
		return false
	default:
		return s != nil && r.hasBegun() && r.state == 'R'
	}
}

// resize tells the latest size; one that has not been sent yet is not needed any more.
func (r *running) resize(t backends.Terminal) {
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
