package sim

import (
	"fmt"
	"net/http"
	"strings"
)

// errorList is a list of errors as Nomad writes it, also of one.
func errorList(texts ...string) error {
	occurred := fmt.Sprintf("%d errors occurred", len(texts))
	if len(texts) == 1 {
		occurred = "1 error occurred"
	}
	return httpError{http.StatusInternalServerError, occurred + ":\n\t* " + strings.Join(texts, "\n\t* ") + "\n\n"}
}
