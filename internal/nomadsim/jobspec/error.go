package jobspec

import (
	"errors"
	"fmt"
	"strings"
)

// CodedError is an error with a code. Nomad's RPC errors have the same codes: 400, 403 and 404. All other errors are
// internal errors.
type CodedError struct {
	Code int
	Text string
}

func (e CodedError) Error() string { return e.Text }

// ErrDenied is the error for a token without the required capability.
var ErrDenied error = CodedError{403, "Permission denied"}

// BadRequest returns an error about an invalid request.
func BadRequest(text string) error { return CodedError{400, text} }

// NotFound returns an error about a missing object.
func NotFound(text string) error { return CodedError{404, text} }

// ErrorList returns an error that lists these errors in the format of Nomad's multierror, even for a single error.
func ErrorList(texts ...string) error {
	occurred := fmt.Sprintf("%d errors occurred", len(texts))
	if len(texts) == 1 {
		occurred = "1 error occurred"
	}
	return errors.New(occurred + ":\n\t* " + strings.Join(texts, "\n\t* ") + "\n\n")
}
