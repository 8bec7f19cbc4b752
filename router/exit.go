package router

import (
	"errors"
	"strings"
)

// ExitError is an error with the exit code that the client is to see.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }
func (e *ExitError) Unwrap() error { return e.Err }

// Exit returns err with an exit code.
func Exit(code int, err error) error { return &ExitError{code, err} }

// Code returns the exit code for err: 0 for none, its own when it has one, else 1.
func Code(err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	}
	return 1
}

// Lines returns one line for each of the errors that were joined in err.
func Lines(err error) []string {
	switch e := err.(type) {
	case nil:
		return nil
	case *ExitError:
		return Lines(e.Err)
	case interface{ Unwrap() []error }:
		var all []string
		for _, one := range e.Unwrap() {
			all = append(all, Lines(one)...)
		}
		if strings.Join(all, "\n") == err.Error() { // else it is a sentence of its own around several errors
			return all
		}
	}
	return []string{err.Error()}
}

// ErrClientGone and ErrInterrupted are the causes for which a command's context ends: the client closed its
// session or lost its connection; it pressed Ctrl-C or sent a signal.
var (
	ErrClientGone  = errors.New("the client went away")
	ErrInterrupted = Exit(130, errors.New("interrupted"))
)
