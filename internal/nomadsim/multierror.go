package nomadsim

import (
	"fmt"
	"net/http"
	"strings"
)

// errorList returns an error that lists these errors in the format of Nomad's multierror, even for a single error.
func errorList(texts ...string) error {
	occurred := fmt.Sprintf("%d errors occurred", len(texts))
	if len(texts) == 1 {
		occurred = "1 error occurred"
	}
	return httpError{http.StatusInternalServerError, occurred + ":\n\t* " + strings.Join(texts, "\n\t* ") + "\n\n"}
}
