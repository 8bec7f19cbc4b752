package backends

import (
	"fmt"
	"runtime/debug"
)

// Protect calls f and returns its error, or a *PanicError when it panics. It belongs around what runs in a goroutine
// of its own and reads what a cluster says: there a panic would end the whole gateway.
func Protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}

// PanicError is a panic that was caught. Its text is for users and says no more than that.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return "internal error" }

// String tells the operator.
func (e *PanicError) String() string { return fmt.Sprintf("%v\n%s", e.Value, e.Stack) }
