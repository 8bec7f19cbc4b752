package commands

import (
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

// usageError returns err with the name of the command and the exit code 2.
func usageError(req *router.Request, err error) error {
	return router.Exit(2, fmt.Errorf("%s: %w", req.Command.Spec().Name, err))
}

// printResult prints the result of a change to stdout. The text may be untrusted.
func printResult(req *router.Request, format string, args ...any) error {
	_, err := fmt.Fprintln(req.Console.Stdout, req.Console.Message(fmt.Sprintf(format, args...)))
	return err
}

// evaluationSuffix returns the evaluation of a change in parentheses, or "".
func evaluationSuffix(result backends.WriteResult) string {
	if result.EvaluationID == "" {
		return ""
	}
	return " (evaluation " + phrase.ShortID(result.EvaluationID) + ")"
}

// printWarnings prints each of Nomad's warnings on a line.
func printWarnings(req *router.Request, result backends.WriteResult) {
	for _, warning := range result.Warnings {
		req.Console.Statusf("Nomad warns: %s", warning)
	}
}

// printNotice prints a message that is neither a result nor an error to stderr. The text may be untrusted.
func printNotice(req *router.Request, format string, args ...any) error {
	_, err := fmt.Fprintln(req.Console.Stderr, req.Console.Message(fmt.Sprintf(format, args...)))
	return err
}
