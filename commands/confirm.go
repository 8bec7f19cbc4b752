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

// errUnconfirmed is what somebody gets who was asked and did not say yes.
var errUnconfirmed = errors.New("nothing was done")

// choose asks a question with several answers, one of keys, and returns the one that was chosen in lower case. Any other
// key is errUnconfirmed. There must be a terminal. The text is untrusted.
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

// confirm asks a yes-or-no question on a terminal; the text is foreign. Without one nobody is asked.
func confirm(ctx context.Context, req *router.Request, unasked bool, format string, args ...any) error {
	if unasked || req.Terminal == nil {
		req.Event.Confirmed = "unasked"
		return nil
	}
	_, err := choose(ctx, req, "y", format+" [y/N] ", args...)
	return err
}
