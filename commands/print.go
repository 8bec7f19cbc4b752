package commands

import (
	"context"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/router"
)

// currentJob returns the whole state of the request's job, as it was when the job was looked up or newer.
func currentJob(ctx context.Context, req *router.Request) (backends.JobDetail, error) {
	defer req.Progress("waiting for the cluster")()
	job, err := req.Cluster.Job(ctx, req.Job)
	if err != nil {
		return job, jobError(req.Job, err)
	}
	return job, nil
}

// printResult writes what has come of an order; the text is foreign.
func printResult(req *router.Request, format string, args ...any) error {
	_, err := fmt.Fprintln(req.Stdout, escape.Text(fmt.Sprintf(format, args...)))
	return err
}

// evaluationSuffix names the evaluation of an order, in brackets.
func evaluationSuffix(o backends.WriteResult) string {
	if o.EvaluationID == "" {
		return ""
	}
	return " (evaluation " + shortID(o.EvaluationID) + ")"
}

// printEvaluation writes what those need who do not wait: the evaluation's ID, if there is one.
func (s *waitFlags) printEvaluation(req *router.Request, o backends.WriteResult) error {
	if o.EvaluationID == "" {
		return nil
	}
	return printResult(req, "%s", o.EvaluationID)
}

// printWarnings shows what Nomad warns of.
func printWarnings(req *router.Request, o backends.WriteResult) {
	if o.Warnings != "" {
		newProgressPrinter(req).printf("Nomad warns: %s", o.Warnings)
	}
}

// printNotice says that there is nothing to do, which is no failure; the text is foreign.
func printNotice(req *router.Request, format string, args ...any) error {
	_, err := fmt.Fprintln(req.Stderr, escape.Text(fmt.Sprintf(format, args...)))
	return err
}
