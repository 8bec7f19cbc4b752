package commands

import (
	"context"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/router"
)

// currentJob returns the current state of the request's job.
func currentJob(ctx context.Context, req *router.Request) (backends.JobDetail, error) {
	defer req.Progress("waiting for the cluster")()
	job, err := req.Cluster.Job(ctx, req.Job)
	if err != nil {
		return job, jobError(req.Job, err)
	}
	return job, nil
}

// printResult prints the result of a change to stdout. The text may be untrusted.
func printResult(req *router.Request, format string, args ...any) error {
	_, err := fmt.Fprintln(req.Stdout, escape.Text(fmt.Sprintf(format, args...)))
	return err
}

// evaluationSuffix returns the evaluation of a change in parentheses, or "".
func evaluationSuffix(o backends.WriteResult) string {
	if o.EvaluationID == "" {
		return ""
	}
	return " (evaluation " + shortID(o.EvaluationID) + ")"
}

// printEvaluation prints the ID of the evaluation, if there is one, for --detach.
func (w *waitFlags) printEvaluation(req *router.Request, o backends.WriteResult) error {
	if o.EvaluationID == "" {
		return nil
	}
	return printResult(req, "%s", o.EvaluationID)
}

// printWarnings prints Nomad's warnings.
func printWarnings(req *router.Request, o backends.WriteResult) {
	if o.Warnings != "" {
		newProgressPrinter(req).printf("Nomad warns: %s", o.Warnings)
	}
}

// printNotice prints a message that is neither a result nor an error to stderr. The text may be untrusted.
func printNotice(req *router.Request, format string, args ...any) error {
	_, err := fmt.Fprintln(req.Stderr, escape.Text(fmt.Sprintf(format, args...)))
	return err
}
