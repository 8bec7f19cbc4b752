package commands

import (
	"context"
	"fmt"
	"slices"

	"nomadctld/router"
)

// choose is Console.Choose, recorded in the audit event.
func choose(ctx context.Context, req *router.Request, keys, format string, args ...any) (byte, error) {
	req.Event.Confirmed = "no"
	key, err := req.Console.Choose(ctx, keys, fmt.Sprintf(format, args...))
	if err == nil {
		req.Event.Confirmed = "yes"
	}
	return key, err
}

// confirm prompts for yes or no. It does not prompt if skip is set or without a terminal. The text may be untrusted.
func confirm(ctx context.Context, req *router.Request, skip bool, format string, args ...any) error {
	if skip || req.Console.Terminal == nil {
		req.Event.Confirmed = "unasked"
		return nil
	}
	_, err := choose(ctx, req, "y", format+" [y/N] ", args...)
	return err
}

// confirmWarnings prints warnings and, on a terminal, prompts whether to continue unless skip is set.
func confirmWarnings(ctx context.Context, req *router.Request, skip bool, warnings ...string) error {
	warnings = slices.DeleteFunc(warnings, func(w string) bool { return w == "" })
	if len(warnings) == 0 {
		return nil
	}
	for _, w := range warnings {
		req.Console.Statusf("warning: %s", w)
	}
	return confirm(ctx, req, skip, "Continue?")
}
