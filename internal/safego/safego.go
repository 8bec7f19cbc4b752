// Package safego turns a panic into an error, so that untrusted data that one command handles cannot crash the whole
// gateway.
package safego

import (
	"fmt"
	"runtime/debug"
)

// Protect calls f and returns its error, or a *PanicError if f panics. Use it in goroutines that handle responses of a
// cluster: a panic there would crash the whole gateway.
func Protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}

// PanicError is a recovered panic. Error is for users and contains no details; String is for the operator.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return "internal error" }

// String returns the panic and its stack, for the log.
func (e *PanicError) String() string { return fmt.Sprintf("%v\n%s", e.Value, e.Stack) }
