package commands

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(start) }) }

type start struct{ settle }

func (s *start) Spec() router.Spec {
	return router.Spec{
		Name:     "start",
		Args:     "JOB",
		Short:    "Bring a stopped job back as it last ran",
		Target:   router.TargetJob,
		Set:      router.Operate,
		Terminal: true,
		Long: `
It is registered as its last version was that ran, with the counts and everything else of that version, and waited for
until it runs.`,
		Flags: func(f *pflag.FlagSet) { s.settle.bind(f) },
	}
}

func (s *start) Run(ctx context.Context, req *router.Request) error {
	if err := s.settle.check(); err != nil {
		return err
	}
	job, err := current(ctx, req)
	if err != nil {
		return err
	}
	if err := req.Busy(); err != nil { // what has stopped it starts it again
		return err
	}
	if !job.Stopped {
		return fmt.Errorf("%s is not stopped: version %d is %s (see: status %s)", job.ID, job.Version, job.Status, job.ID)
	}
	version, err := lastThatRan(ctx, req, job)
	if err != nil {
		return err
	}
	definition, err := req.Cluster.Definition(ctx, job.Job, &version)
	if err != nil {
		return ofJob(job.Job, err)
	}
	outcome, err := req.Operations.Register(ctx, job.Job, definition, job.Index)
	if err != nil {
		return ofJob(job.Job, err)
	}
	warn(req, outcome)
	if s.detach {
		return s.detached(req, outcome)
	}
	if err := s.up(ctx, req, job.Job, "", outcome); err != nil {
		return err
	}
	return finished(req, "started %s as it was in version %d%s", job.ID, version, evaluation(outcome))
}

// lastThatRan returns the newest version of a job that was not the stopping of it.
func lastThatRan(ctx context.Context, req *router.Request, job backends.JobDetail) (uint64, error) {
	versions, err := req.Cluster.Versions(ctx, job.Job)
	if err != nil {
		return 0, ofJob(job.Job, err)
	}
	for _, v := range versions {
		if !v.Stopped {
			return v.Number, nil
		}
	}
	return job.Version, nil // all that is kept of it is how it was stopped
}
