package router

import (
	"errors"
	"fmt"
	"strings"

	"nomadctld/backends"
)

// ExitError is an exit code that the client is to see, with the error that it is for.
type ExitError struct {
	Code int
	Err  error // nil: nothing of ours has failed, the code is that of a program
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}
func (e *ExitError) Unwrap() error { return e.Err }

// CodeTryLater is the exit code of what a limit refuses: EX_TEMPFAIL of sysexits.
const CodeTryLater = 75

// Exit returns err with an exit code.
func Exit(code int, err error) error { return &ExitError{code, err} }

// ProgramExit returns the end of a user's program: nil for the code 0.
func ProgramExit(code int) error {
	if code == 0 {
		return nil
	}
	return &ExitError{Code: code}
}

// ExitCode returns the exit code for err: 0 for none, its own when it has one, CodeTryLater for backends.ErrLimitReached, else 1.
func ExitCode(err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, backends.ErrLimitReached):
		return CodeTryLater
	}
	return 1
}

// ErrorLines returns one line for each of the errors that were joined in err.
func ErrorLines(err error) []string {
	switch e := err.(type) {
	case nil:
		return nil
	case *ExitError:
		return ErrorLines(e.Err)
	case interface{ Unwrap() []error }:
		var all []string
		for _, one := range e.Unwrap() {
			all = append(all, ErrorLines(one)...)
		}
		if strings.Join(all, "\n") == err.Error() { // else it is a sentence of its own around several errors
			return all
		}
	}
	return []string{err.Error()}
}

// IsQuiet reports whether an error is for the record only: whoever pipes into head wants to read nothing of that, unless a
// program may still run, or it is not known what became of an order.
func IsQuiet(err error) bool {
	var left *backends.StillRunningError
	return errors.Is(err, ErrOutputClosed) && !errors.As(err, &left) && !errors.Is(err, backends.ErrOutcomeUnknown)
}

// The causes for which a command's context ends: the client closed its session or lost its connection; it pressed Ctrl-C
// or sent a signal; it takes no more of stdout; the gateway stops.
var (
	ErrClientDisconnected = errors.New("the client went away")
	ErrGatewayStopping    = errors.New("the gateway is being stopped")
	ErrInterrupted        = Exit(130, errors.New("interrupted"))

	// ErrOutputClosed has the code of a program that wrote into a closed pipe. Nobody is told.
	ErrOutputClosed = Exit(141, errors.New("the client takes no more output"))
)
