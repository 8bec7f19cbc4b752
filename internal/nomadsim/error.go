package nomadsim

import (
	"errors"
	"fmt"
	"strings"
)

// codedError is an error with a code. Nomad's RPC errors have the same codes: 400, 403 and 404. All other errors are
// internal errors.
type codedError struct {
	Code int
	Text string
}

func (e codedError) Error() string { return e.Text }

// errDenied is the error for a token without the required capability.
var errDenied error = codedError{403, "Permission denied"}

// badRequest returns an error about an invalid request.
func badRequest(text string) error { return codedError{400, text} }

// notFound returns an error about a missing object.
func notFound(text string) error { return codedError{404, text} }

// errorList returns an error that lists these errors in the format of Nomad's multierror, even for a single error.
func errorList(texts ...string) error {
	occurred := fmt.Sprintf("%d errors occurred", len(texts))
	if len(texts) == 1 {
		occurred = "1 error occurred"
	}
	return errors.New(occurred + ":\n\t* " + strings.Join(texts, "\n\t* ") + "\n\n")
}
