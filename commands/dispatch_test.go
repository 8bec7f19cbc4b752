package commands

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/router"
)

func TestDispatch_PayloadCutOff(t *testing.T) {
	cut := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(router.ErrClientDisconnected))
	for _, kind := range []string{"optional", "required"} {
		var job backends.JobDetail
		job.Schedule.Payload = kind
		if payload, err := new(dispatch).readPayload(t.Context(), &router.Request{
			Console: &console.Console{Stdin: cut},
		}, job); !errors.Is(err,
			router.ErrClientDisconnected) {
			t.Errorf("%s: got %q, %v", kind, payload, err)
		}
	}
}
