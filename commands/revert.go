package commands

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(revert) }) }

type revert struct{ settle }

func (r *revert) Spec() router.Spec {
	return router.Spec{
		Name:     "revert",
		Args:     "JOB [VERSION]",
		Short:    "Go back to an earlier version of a job",
		Target:   router.TargetJob,
		Set:      router.Operate,
		Terminal: true,
		Long: `
Without VERSION it is the newest stable one before the current one, or, if none is known to be stable, the one before
(see: history JOB). It becomes the newest version, and is waited for until it runs.`,
		Flags: func(f *pflag.FlagSet) { r.settle.bind(f) },
	}
}

func (r *revert) Run(ctx context.Context, req *router.Request) error {
	if err := r.settle.check(); err != nil {
		return err
	}
	job, err := current(ctx, req)
	if err != nil {
		return err
	}
	versions, err := req.Cluster.Versions(ctx, job.Job)
	if err != nil {
		return ofJob(job.Job, err)
	}
	version, err := revertTo(job, versions, req.Args[1:])
	if err != nil {
		return err
	}
	outcome, err := req.Operations.Revert(ctx, job.Job, version)
	if err != nil {
		return ofJob(job.Job, err)
	}
	warn(req, outcome)
	if r.detach {
		return r.detached(req, outcome)
	}
	if err := r.up(ctx, req, job.Job, "", outcome); err != nil {
		return err
	}
	return finished(req, "reverted %s from version %d to what it was in version %d%s", job.ID, job.Version, version, evaluation(outcome))
}

// revertTo returns the version that is meant; versions are newest first.
func revertTo(job backends.JobDetail, versions []backends.Version, args []string) (uint64, error) {
	earlier := slices.DeleteFunc(slices.Clone(versions), func(v backends.Version) bool { return v.Number >= job.Version || v.Stopped })
	if len(args) == 0 {
		if i := slices.IndexFunc(earlier, func(v backends.Version) bool { return v.Stable }); i >= 0 {
			return earlier[i].Number, nil
		}
		if len(earlier) > 0 {
			return earlier[0].Number, nil
		}
		return 0, fmt.Errorf("Nomad keeps no version of %s before %d", job.ID, job.Version)
	}
	number, ok := parseNumber(args[0])
	version := uint64(number)
	switch {
	case !ok:
		return 0, router.Exit(2, fmt.Errorf("revert: VERSION is a number, not %q (see: history %s)", args[0], job.ID))
	case version == job.Version:
		return 0, fmt.Errorf("%s is at version %d", job.ID, version)
	case !slices.ContainsFunc(versions, func(v backends.Version) bool { return v.Number == version }):
		return 0, fmt.Errorf("Nomad keeps no version %d of %s (see: history %s)", version, job.ID, job.ID)
	case !slices.ContainsFunc(earlier, func(v backends.Version) bool { return v.Number == version }):
		return 0, fmt.Errorf("version %d of %s is the stopping of it (see: history %s)", version, job.ID, job.ID)
	}
	return version, nil
}
