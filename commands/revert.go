package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/backends"
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
		Set:           router.Operate,
		WantsTerminal: true,
		Long: `
Revert a job to an earlier version and wait until it is running. The job gets a new
version with the contents of the earlier one.

Without VERSION, the job goes back to its last release: the newest stable version
that differs from the current one in more than counts (see: history). If Nomad has
deleted that version because of restart --full, stop, start or scale, revert uses
the definition that the gateway saved.

If counts or scaling blocks differ, revert shows them and prompts. Without a
terminal, it keeps the current counts; if only the counts differ, it fails.`,
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
	if err := r.waitFlags.check(); err != nil {
		return err
	}
	if r.keepCounts && r.yes {
		return router.Exit(2, errors.New("revert: --keep-counts and --yes exclude each other"))
	}
	job, err := currentJob(ctx, req)
	if err != nil {
		return err
	}
	if err := req.CheckNoPendingRestore(); err != nil { // what has stopped it starts it again
		return err
	}
	versions, err := req.Cluster.Versions(ctx, job.Job)
	if err != nil {
		return jobError(job.Job, err)
	}
	now, err := currentVersion(job, versions)
	if err != nil {
		return err
	}
	now = lastRunVersion(now, versions)
	then, saved, err := r.targetVersion(job, now, versions, req)
	if err != nil {
		return err
	}
	keep, err := r.chooseCounts(ctx, req, now, then)
	if err != nil {
		return err
	}
	var outcome backends.WriteResult
	if keep || saved {
		definition := then.Definition
		if keep {
			if definition, err = withCurrentCounts(now, then); err != nil {
				return fmt.Errorf("%s: %w", job.ID, err)
			}
		}
		outcome, err = req.Operations.Register(ctx, job.Job, definition, job.ModifyIndex)
	} else {
		outcome, err = req.Operations.Revert(ctx, job.Job, then.Number)
	}
	switch {
	case err != nil:
		return jobError(job.Job, err)
	case outcome.ModifyIndex == job.ModifyIndex:
		return fmt.Errorf("Nomad changed nothing: it treats version %d of %s as the same as the current one", then.Number, job.ID)
	}
	printWarnings(req, outcome)
	if r.detach {
		return r.printEvaluation(req, outcome)
	}
	if err := r.waitUntilUp(ctx, req, job.Job, "", outcome); err != nil {
		return err
	}
	from := ""
	if saved {
		from = ", as the gateway saved it"
	}
	return printResult(req, "reverted %s from version %d to what it was in version %d%s%s", job.ID, job.Version, then.Number, from, evaluationSuffix(outcome))
}

// targetVersion returns the version to go back to, and whether only the gateway has it.
func (r *revert) targetVersion(job backends.JobDetail, now backends.Version, versions []backends.Version, req *router.Request) (backends.Version, bool, error) {
	saved, _, isSaved, err := savedRelease(req.SavedDefinitions(), now)
	if err != nil {
		newProgressPrinter(req).printf("warning: the release of %s that the gateway saved cannot be used: %v", job.ID, err)
	}
	if len(req.Args) > 1 {
		return versionByNumber(job, now, versions, saved, isSaved, req.Args[1])
	}
	if job.Stopped {
		return now, false, fmt.Errorf("%s is stopped: start %s brings it back, revert %s VERSION an earlier version (see: history %s)", job.ID, job.ID, job.ID, job.ID)
	}
	all := earlierReleases(now, versions)
	deleted := false
	if isSaved {
		all, deleted = addSaved(all, saved, now, versions)
	}
	then, ok := lastRelease(all)
	switch stable := job.Type == "service" || slices.ContainsFunc(versions, func(v backends.Version) bool { return v.Stable }); {
	case !ok && !slices.ContainsFunc(versions, func(v backends.Version) bool { return v.Number < now.Number }):
		return now, false, fmt.Errorf("Nomad keeps no version of %s before %d", job.ID, now.Number)
	case !ok:
		return now, false, fmt.Errorf("no earlier version of %s differs from version %d in more than counts (see: history %s)", job.ID, now.Number, job.ID)
	case stable && !then.Stable:
		return now, false, fmt.Errorf("no stable version of %s differs from version %d in more than counts; to go to a version not known to be stable: revert %s %d (see: history %s)", job.ID, now.Number, job.ID, then.Number, job.ID)
	}
	return then, deleted && compareNewestFirst(then, saved) == 0, nil
}

// versionByNumber returns the version with a number, and whether only the gateway has it.
func versionByNumber(job backends.JobDetail, now backends.Version, versions []backends.Version, saved backends.Version, isSaved bool, number string) (backends.Version, bool, error) {
	n, ok := parseNumber(number)
	version := uint64(n)
	if !ok {
		return now, false, router.Exit(2, fmt.Errorf("revert: VERSION is a number, not %q (see: history %s)", number, job.ID))
	}
	if version == job.Version {
		return now, false, fmt.Errorf("%s is at version %d", job.ID, version)
	}
	var then backends.Version
	deleted := false
	switch i := slices.IndexFunc(versions, func(v backends.Version) bool { return v.Number == version }); {
	case i >= 0:
		then = versions[i]
	case isSaved && saved.Number == version:
		then, deleted = saved, true
	case isSaved && saved.Release.ID != now.Release.ID:
		return now, false, fmt.Errorf("Nomad keeps no version %d of %s (see: history %s); the gateway has saved version %d", version, job.ID, job.ID, saved.Number)
	default:
		return now, false, fmt.Errorf("Nomad keeps no version %d of %s (see: history %s)", version, job.ID, job.ID)
	}
	switch {
	case then.Stopped:
		return now, false, fmt.Errorf("version %d of %s was made by stopping the job (see: history %s)", version, job.ID, job.ID)
	case then.Release.Equal(now.Release) && job.Stopped:
		return now, false, fmt.Errorf("%s is stopped; version %d is what ran before the stop: start %s brings it back", job.ID, version, job.ID)
	case then.Release.Equal(now.Release):
		return now, false, fmt.Errorf("version %d of %s is the same as version %d, which is the current one: there is nothing to revert (see: history %s)", version, job.ID, now.Number, job.ID)
	}
	return then, deleted, nil
}

// chooseCounts decides whether the current counts are kept. It asks on a terminal.
func (r *revert) chooseCounts(ctx context.Context, req *router.Request, now, then backends.Version) (keep bool, err error) {
	counts, scaling := countChanges(now.Release, then.Release)
	onlyCounts := then.Release.ID == now.Release.ID
	text := changesText(counts, scaling)
	switch {
	case text == "" || r.yes:
		if r.yes {
			req.Event.Confirmed = "unasked"
		}
		return false, nil
	case onlyCounts && (r.keepCounts || req.Terminal == nil):
		return false, fmt.Errorf("version %d of %s differs from the current one only in its counts (%s): take them with --yes", then.Number, req.Job.ID, strings.Join(counts, ", "))
	case r.keepCounts || req.Terminal == nil:
		if len(counts) > 0 {
			newProgressPrinter(req).printf("keeping the current counts; version %d has others (%s)", then.Number, strings.Join(counts, ", "))
		}
		if len(scaling) > 0 {
			newProgressPrinter(req).printf("version %d changes the scaling too: %s", then.Number, strings.Join(scaling, ", "))
		}
		return len(counts) > 0, nil
	}
	newProgressPrinter(req).printf("version %d of %s also changes %s", then.Number, req.Job.ID, text)
	if onlyCounts || len(counts) == 0 {
		return false, confirm(ctx, req, false, "Revert %s in tier %s to version %d?", req.Job.ID, req.Job.Tier, then.Number)
	}
	key, err := choose(ctx, req, "yk", "Revert %s in tier %s: (y)es and apply these counts, (k)eep the current counts, or (N)o? [y/k/N] ", req.Job.ID, req.Job.Tier)
	return key == 'k', err
}

// withCurrentCounts returns the definition of a version with the counts of the current one.
func withCurrentCounts(now, then backends.Version) ([]byte, error) {
	counts := map[string]int{}
	for _, g := range then.Release.Groups {
		is, ok := now.Release.Group(g.Name)
		if !ok {
			continue
		}
		if s := g.Range; s != nil && (is.Count < s.Min || is.Count > s.Max) {
			return nil, fmt.Errorf("version %d allows %d to %d of group %s, and the current count is %d: take the counts of that version with --yes, or scale first", then.Number, s.Min, s.Max, g.Name, is.Count)
		}
		counts[g.Name] = is.Count
	}
	return backends.WithCounts(then.Definition, counts)
}
