package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"nomadctld/internal/escape"
	"nomadctld/router"
)

// errUnconfirmed is returned if the user did not confirm a prompt.
var errUnconfirmed = errors.New("nothing was done")

// choose prompts for one of several keys and returns the chosen key in lower case, or errUnconfirmed for any other key.
// It needs a terminal. The text may be untrusted.
func choose(ctx context.Context, req *router.Request, keys, format string, args ...any) (byte, error) {
	req.Event.Confirmed = "no"
	key, err := req.Ask(ctx, escape.Text(fmt.Sprintf(format, args...)))
	if 'A' <= key && key <= 'Z' {
		key += 'a' - 'A'
	}
	if err == nil && strings.IndexByte(keys, key) >= 0 {
		req.Event.Confirmed = "yes"
		io.WriteString(req.StatusWriter(), string(rune(key))+"\n")
		return key, nil
	}
	io.WriteString(req.StatusWriter(), "n\n")
	if key == ctrlC {
		return 0, router.Exit(130, errUnconfirmed)
	}
	return 0, errUnconfirmed
}

// ctrlC is the byte that a terminal sends for Ctrl-C.
const ctrlC = 3

// confirm prompts for yes or no. It does not prompt if skip is set or without a terminal. The text may be untrusted.
func confirm(ctx context.Context, req *router.Request, skip bool, format string, args ...any) error {
	if skip || req.Terminal == nil {
		req.Event.Confirmed = "unasked"
		return nil
	}
	_, err := choose(ctx, req, "y", format+" [y/N] ", args...)
	return err
}
