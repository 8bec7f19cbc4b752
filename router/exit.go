package router

import (
	"errors"
	"fmt"
	"strings"

	"nomadctld/backends"
)

// ExitError is an error with the exit code that the client gets.
type ExitError struct {
	Code int
	Err  error // nil: the gateway did not fail; the code is that of a program
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}
func (e *ExitError) Unwrap() error { return e.Err }

// CodeTryLater is the exit code for requests that a limit refuses: EX_TEMPFAIL of sysexits.
const CodeTryLater = 75

// Exit returns err with an exit code.
func Exit(code int, err error) error { return &ExitError{code, err} }

// ProgramExit returns the exit of a user's program as an error: nil for code 0.
func ProgramExit(code int) error {
	if code == 0 {
		return nil
	}
	return &ExitError{Code: code}
}

// ProgramResult returns a program's exit code as an error, or err with the exit code that docker has for it.
func ProgramResult(code int, err error) error {
	const notExecutable, notFound = 126, 127
	switch {
	case err == nil:
		return ProgramExit(code)
	case errors.Is(err, backends.ErrNotExecutable):
		return Exit(notExecutable, err)
	case errors.Is(err, backends.ErrProgramNotFound):
		return Exit(notFound, err)
	}
	return err
}

// SessionExitCode returns e.Code. *console.InterruptError has this method too.
func (e *ExitError) SessionExitCode() int { return e.Code }

// exitCoder is an error that has an exit code. The method is not named ExitCode, because *exec.ExitError has that
// method.
type exitCoder interface{ SessionExitCode() int }

func hasExitCode(err error) bool {
	var own exitCoder
	return errors.As(err, &own)
}

// ExitCode returns the exit code for err: 0 for nil, its own if it has one, CodeTryLater for backends.ErrLimitReached,
// else 1.
func ExitCode(err error) int {
	var own exitCoder
	switch {
	case err == nil:
		return 0
	case errors.As(err, &own):
		return own.SessionExitCode()
	case errors.Is(err, backends.ErrLimitReached):
		return CodeTryLater
	}
	return 1
}

// codeGatewayError is the exit code for errors of the gateway in commands that run a program, as in docker exec.
const codeGatewayError = 125

// withProgramCode gives errors of the gateway the exit code codeGatewayError in commands that run a program, instead of
// 1, which programs often return.
func (s Spec) withProgramCode(err error) error {
	if err == nil || !s.RunsProgram || hasExitCode(err) || errors.Is(err, backends.ErrLimitReached) {
		return err
	}
	return Exit(codeGatewayError, err)
}

// ErrorLines returns one line for each error that was joined in err.
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
		if strings.Join(all, "\n") == err.Error() { // otherwise it is one message that wraps several errors
			return all
		}
	}
	return []string{err.Error()}
}

// IsQuiet reports whether err should be logged but not printed. Output closed by the client (ssh gw ps | head) is
// quiet, unless a remote program may still be running or the outcome of a change is unknown.
func IsQuiet(err error) bool {
	var left *backends.StillRunningError
	return errors.Is(err, ErrOutputClosed) && !errors.As(err, &left) && !errors.Is(err, backends.ErrOutcomeUnknown)
}

// Common causes of a canceled command context. Limits and lost access have errors of their own.
var (
	ErrClientDisconnected = errors.New("the client disconnected")
	ErrGatewayStopping    = errors.New("the gateway is shutting down")

	// ErrOutputClosed has the exit code of a program that wrote to a closed pipe. It is not printed.
	ErrOutputClosed = Exit(141, errors.New("the client closed its output"))
)
