package commands

import (
	"context"
	"errors"
	"fmt"
	"io"

	"nomadctld/internal/escape"
	"nomadctld/router"
)

// errUnconfirmed is what somebody gets who was asked and did not say yes.
var errUnconfirmed = errors.New("nothing was done")

// confirm asks a yes-or-no question on a terminal; the text is foreign. Without one nobody is asked.
func confirm(ctx context.Context, req *router.Request, unasked bool, format string, args ...any) error {
	if unasked || req.Terminal == nil {
		req.Event.Confirmed = "unasked"
		return nil
	}
	req.Event.Confirmed = "no"
	key, err := req.Ask(ctx, escape.Text(fmt.Sprintf(format, args...))+" [y/N] ")
	if err == nil && (key == 'y' || key == 'Y') {
		req.Event.Confirmed = "yes"
		io.WriteString(req.Screen(), "y\n")
		return nil
	}
	io.WriteString(req.Screen(), "n\n")
	if key == ctrlC {
		return router.Exit(130, errUnconfirmed)
	}
	return errUnconfirmed
}
