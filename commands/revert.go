package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/jobrelease"
	"nomadctld/internal/parse"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(revert) }) }

type revert struct {
	waitFlags
	keepCounts, yes bool
}

func (r *revert) Spec() router.Spec {
	return router.Spec{
		Name:          "revert",
		Args:          "JOB [VERSION]",
		Short:         "Revert to an older version",
		Group:         router.GroupChange,
		Rank:          5,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true,
		Long: `
Revert a job to an earlier version and wait until it is running. The job gets a new
version with the contents of the earlier one. If the job has canaries, revert waits
until they are healthy, reports that they wait for promotion, and exits with 0:
nothing has failed, and a person decides (see: promote, fail).

Without VERSION, the job goes back to its last release: the newest stable version
that differs from the current one in more than counts (see: history). A job of
another type than service may have no stable version; then the newest version
that differs is used. If Nomad no longer has the release, because restart, stop,
start or scale added versions, revert uses the definition that the gateway saved.

If counts or scaling blocks differ, revert prompts on a terminal; -y applies both.
With --keep-counts, or without a terminal and without -y, it keeps the current
counts and applies the rest, with the scaling blocks. If only counts differ, it
then fails.`,
		Examples: []router.Example{
			{Line: "revert p-team1-web", Comment: "to the last release"},
			{Line: "revert p-team1-web 3", Comment: "to version 3"},
			{Line: "revert --keep-counts p-team1-web", Comment: "without a prompt"},
		},
		Flags: func(f *pflag.FlagSet) {
			r.waitFlags.bind(f)
			f.BoolVar(&r.keepCounts, "keep-counts", false, "keep the current counts; do not prompt")
			f.BoolVarP(&r.yes, "yes", "y", false, "apply the counts and scaling of that version; do not prompt")
		},
	}
}

func (r *revert) Run(ctx context.Context, req *router.Request) error {
	if err := r.waitFlags.check(req); err != nil {
		return err
	}
	if r.keepCounts && r.yes {
		return router.Exit(2, errors.New("revert: --keep-counts and --yes are mutually exclusive"))
	}
	job, err := currentJob(ctx, req)
	if err != nil {
		return err
	}
	// A running operation may register the job again, which would undo this change.
	if err := req.Access.Operations.CheckNoPendingRestore(); err != nil {
		return err
	}
	versions, err := req.Access.Cluster.Versions(ctx, job.Job)
	if err != nil {
		return phrase.JobError(job.Job, err)
	}
	now, err := jobrelease.Current(job, versions)
	if err != nil {
		return err
	}
	now = jobrelease.LastRun(now, versions)
	then, saved, err := r.targetVersion(job, now, versions, req)
	if err != nil {
		return err
	}
	keep, err := r.chooseCounts(ctx, req, now, then)
	if err != nil {
		return err
	}
	var result backends.WriteResult
	if keep || saved {
		definition := then.Definition
		if keep {
			if definition, err = jobrelease.WithCurrentCounts(now, then); err != nil {
				return fmt.Errorf("%s: %w", job.ID, err)
			}
		}
		result, err = req.Access.Writer.Register(ctx, job.Job, definition, job.ModifyIndex)
	} else {
		result, err = req.Access.Writer.Revert(ctx, job.Job, then.Number)
	}
	switch {
	case err != nil:
		return phrase.JobError(job.Job, err)
	case result.ModifyIndex == job.ModifyIndex:
		return fmt.Errorf("Nomad changed nothing: version %d of %s is the same as the current one", then.Number, job.ID)
	}
	printWarnings(req, result)
	if r.detach {
		return r.printEvaluation(req, result)
	}
	err = r.waitUntilUp(ctx, req, job.Job, "", result)
	from := ""
	if saved {
		from = ", which the gateway had saved"
	}
	return r.printUp(req, err, "reverted %s from version %d to version %d%s%s",
		job.ID, job.Version, then.Number, from, evaluationSuffix(result))
}

// targetVersion returns the version to revert to, and whether only the gateway has it.
func (r *revert) targetVersion(
	job backends.JobDetail, now backends.Version, versions []backends.Version, req *router.Request,
) (backends.Version, bool, error) {
	history := jobrelease.History{Job: job, Now: now, Versions: versions}
	saved, _, isSaved, err := jobrelease.Saved(req.Access.Operations.Saved(), now)
	if err != nil {
		req.Console.Statusf("warning: the release of %s that the gateway saved cannot be used: %v", job.ID, err)
	}
	if isSaved {
		history.Saved = &saved
	}
	if len(req.Args) < 2 {
		return history.LastRelease()
	}
	number, ok := parse.Number(req.Args[1])
	if !ok {
		return now, false, router.Exit(2, fmt.Errorf("revert: VERSION is a number, not %q (see: history %s)",
			req.Args[1], job.ID))
	}
	return history.Numbered(uint64(number))
}

// chooseCounts decides whether to keep the current counts. On a terminal it prompts.
func (r *revert) chooseCounts(
	ctx context.Context, req *router.Request, now, then backends.Version,
) (keep bool, err error) {
	counts, scaling := jobrelease.CountChanges(now.Release, then.Release)
	onlyCounts := then.Release.ID == now.Release.ID
	text := jobrelease.ChangesText(counts, scaling)
	switch {
	case text == "" || r.yes:
		if r.yes {
			req.Event.Confirmed = "unasked"
		}
		return false, nil
	case onlyCounts && (r.keepCounts || req.Console.Terminal == nil):
		return false, fmt.Errorf("version %d of %s differs from the current one only in its counts "+
			"(%s): apply them with --yes",
			then.Number, req.Target.Job.ID, strings.Join(counts, ", "))
	case r.keepCounts || req.Console.Terminal == nil:
		report := req.Console.NewProgressLine()
		if len(counts) > 0 {
			report.Printf("keeping the current counts; those of version %d differ (%s)", then.Number, strings.Join(counts, ", "))
		}
		if len(scaling) > 0 {
			report.Printf("version %d also changes the scaling: %s", then.Number, strings.Join(scaling, ", "))
		}
		return len(counts) > 0, nil
	}
	also := "also "
	if onlyCounts {
		also = ""
	}
	req.Console.Statusf("version %d of %s %schanges %s", then.Number, req.Target.Job.ID, also, text)
	if onlyCounts || len(counts) == 0 {
		return false, confirm(ctx, req, false, "Revert %s in tier %s to version %d?",
			req.Target.Job.ID, req.Target.Job.Tier, then.Number)
	}
	key, err := choose(ctx, req, "yk",
		"Revert %s in tier %s: (y)es and apply these counts, (k)eep the current counts, or do (N)othing? [y/k/N] ",
		req.Target.Job.ID, req.Target.Job.Tier)
	return key == 'k', err
}
