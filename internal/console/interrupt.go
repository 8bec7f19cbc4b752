package console

import "nomadctld/internal/signals"

// InterruptError is the error of a command that the client interrupted.
type InterruptError struct {
	Signal int   // number
	Err    error // nil: the command has no error of its own
}

// ErrInterrupted is the error of a command that the client interrupted with Ctrl-C. With errors.Is, it matches the
// errors of the other signals too.
var ErrInterrupted error = &InterruptError{Signal: signals.Interrupt("INT")}

func (e *InterruptError) Error() string {
	if e.Err == nil {
		return "interrupted"
	}
	return e.Err.Error()
}

func (e *InterruptError) Unwrap() error { return e.Err }

// Is implements the interface that errors.Is uses.
func (e *InterruptError) Is(target error) bool { return target == ErrInterrupted && e.Err == nil }

// SessionExitCode returns the exit code of the session.
func (e *InterruptError) SessionExitCode() int { return 128 + e.Signal }

// InterruptOnCtrlC reads the keyboard and calls interrupt with ErrInterrupted at Ctrl-C, until the command claims the
// input. It does nothing without a terminal. Unless lossless is set, unread input over a limit is dropped until the
// input is claimed, so that a Ctrl-C behind it still works. The caller must call stop when the command has finished.
func (c *Console) InterruptOnCtrlC(lossless bool, interrupt func(error)) (stop func()) {
	if c.Terminal == nil {
		return func() {}
	}
	keys := newTerminalInput(c.Stdin, lossless, func() { interrupt(ErrInterrupted) })
	c.Stdin = keys
	return keys.close
}
