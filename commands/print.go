package commands

import (
	"context"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/escape"
	"nomadctld/router"
)

// current returns the whole state of the request's job, as it was when the job was looked up or newer.
func current(ctx context.Context, req *router.Request) (backends.JobDetail, error) {
	defer req.Progress("waiting for the cluster")()
	job, err := req.Cluster.Job(ctx, req.Job)
	if err != nil {
		return job, ofJob(req.Job, err)
	}
	return job, nil
}

// finished writes what has come of an order; the text is foreign.
func finished(req *router.Request, format string, args ...any) error {
	_, err := fmt.Fprintln(req.Stdout, escape.Text(fmt.Sprintf(format, args...)))
	return err
}

// evaluation names the evaluation of an order, in brackets.
func evaluation(o backends.WriteResult) string {
	if o.EvaluationID == "" {
		return ""
	}
	return " (evaluation " + short(o.EvaluationID) + ")"
}

// detached writes what those need who do not wait: the evaluation's ID, if there is one.
func (s *settle) detached(req *router.Request, o backends.WriteResult) error {
	if o.EvaluationID == "" {
		return nil
	}
	return finished(req, "%s", o.EvaluationID)
}

// warn shows what Nomad warns of.
func warn(req *router.Request, o backends.WriteResult) {
	if o.Warnings != "" {
		newReport(req).say("Nomad warns: %s", o.Warnings)
	}
}

// already says that there is nothing to do, which is no failure; the text is foreign.
func already(req *router.Request, format string, args ...any) error {
	_, err := fmt.Fprintln(req.Stderr, escape.Text(fmt.Sprintf(format, args...)))
	return err
}
