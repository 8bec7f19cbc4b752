package commands

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

// trackedVersions is how many versions of a job Nomad keeps by default, beside tagged ones.
const trackedVersions = 6

// currentVersion returns the version among versions that the job has now.
func currentVersion(job backends.JobDetail, versions []backends.Version) (backends.Version, error) {
	i := slices.IndexFunc(versions, func(v backends.Version) bool { return v.Number == job.Version })
	if i < 0 {
		newest := job.Version
		if len(versions) > 0 {
			newest = versions[0].Number
		}
		return backends.Version{}, &backends.ChangedError{Job: job.ID, Version: newest}
	}
	return versions[i], nil
}

// earlierReleases returns the versions before the current one that run something else, newest first. Stopping a job makes
// a version that runs nothing, and replacing its failed allocations one that runs the same (see rolling.allowRescheduling).
func earlierReleases(current backends.Version, versions []backends.Version) (earlier []backends.Version) {
	for _, v := range versions {
		if v.Number < current.Number && !v.Stopped && v.Release.ID != current.Release.ID && !backends.HasRescheduling(v.Definition, current.Definition) {
			earlier = append(earlier, v)
		}
	}
	return earlier
}

// lastRunVersion returns the newest version that is not the stopping of the job, or the current one if Nomad keeps no other.
// Stopping a job switches its scaling policies off, so what the job is, is what ran last.
func lastRunVersion(current backends.Version, versions []backends.Version) backends.Version {
	if i := slices.IndexFunc(versions, func(v backends.Version) bool { return !v.Stopped }); current.Stopped && i >= 0 {
		return versions[i]
	}
	return current
}

// lastRelease returns the newest stable one of earlier releases, or the newest one if none is known to be stable.
func lastRelease(earlier []backends.Version) (backends.Version, bool) {
	if i := slices.IndexFunc(earlier, func(v backends.Version) bool { return v.Stable }); i >= 0 {
		return earlier[i], true
	}
	if len(earlier) > 0 {
		return earlier[0], true
	}
	return backends.Version{}, false
}

// savedRelease returns the release that the gateway has saved of the job of which now is a version. Its Created is older if
// Nomad has deleted and created that job since.
func savedRelease(saved router.SavedDefinitions, now backends.Version) (v backends.Version, k ops.SavedJob, ok bool, err error) {
	if k, ok := saved.Find(ops.Released); !ok || k.CreateIndex != now.CreateIndex {
		return v, k, false, nil
	}
	k, ok, err = saved.Load(ops.Released)
	if !ok || k.CreateIndex != now.CreateIndex {
		return v, k, false, err
	}
	is, err := identify(k.Definition)
	if err != nil {
		return v, k, false, err
	}
	release, err := backends.ReleaseOf(k.Definition)
	return backends.Version{Number: k.Version, Stable: is.Stable, CreateIndex: is.CreateIndex, Release: release, Definition: k.Definition}, k, err == nil, err
}

// compareNewestFirst compares versions of a job and of the one that it took the place of after Nomad had deleted that.
func compareNewestFirst(a, b backends.Version) int {
	return cmp.Or(cmp.Compare(b.CreateIndex, a.CreateIndex), cmp.Compare(b.Number, a.Number))
}

// addSaved adds the saved release to earlier ones, newest first, unless Nomad keeps that version, or a stable one or no
// stable one of the same release. It reports whether it has added it.
func addSaved(earlier []backends.Version, saved, now backends.Version, versions []backends.Version) ([]backends.Version, bool) {
	isKept := func(v backends.Version) bool { return compareNewestFirst(v, saved) == 0 }
	isSame := func(v backends.Version) bool { return v.Release.ID == saved.Release.ID && (v.Stable || !saved.Stable) }
	if saved.Release.ID == now.Release.ID || slices.ContainsFunc(versions, isKept) || slices.ContainsFunc(earlier, isSame) {
		return earlier, false
	}
	all := append(slices.Clone(earlier), saved)
	slices.SortStableFunc(all, compareNewestFirst)
	return all, true
}

// resaveInterval is the age at which a definition is saved again that is still wanted: it must not expire.
const resaveInterval = 24 * time.Hour

// saveRelease saves the last release that differs from the current one, before a command adds versions to the job: Nomad
// deletes the oldest ones. A release that is saved already stays if Nomad keeps no better one. It returns a warning if that
// release cannot be saved and would be lost.
func saveRelease(ctx context.Context, cluster backends.Cluster, saved router.SavedDefinitions, job backends.JobDetail, added int) (warning string, err error) {
	versions, err := cluster.Versions(ctx, job.Job)
	if err != nil {
		return "", jobError(job.Job, err)
	}
	current, err := currentVersion(job, versions)
	if err != nil {
		return "", err
	}
	current = lastRunVersion(current, versions)
	earlier := earlierReleases(current, versions)
	was, k, isSaved, err := savedRelease(saved, current)
	if err != nil {
		isSaved = false // it cannot be read, so it is replaced
	}
	if isSaved {
		earlier, _ = addSaved(earlier, was, current, versions)
	}
	last, ok := lastRelease(earlier)
	if !ok {
		return "", nil
	}
	isSaved = isSaved && compareNewestFirst(was, last) == 0
	if isSaved && was.Stable == last.Stable && time.Since(k.Time) < resaveInterval {
		return "", nil
	}
	_, err = saved.Save(ops.Released, last.Definition, last.Number, current.CreateIndex)
	if err == nil || isSaved || !willBeDeleted(last, versions, added) {
		return "", nil
	}
	return fmt.Sprintf("Nomad keeps %d versions of a job, so this makes it delete version %d of %s, the release before the current one, and %s", trackedVersions, last.Number, job.ID, unsavedReason(err)), nil
}

// willBeDeleted reports whether Nomad deletes a version when others are added.
func willBeDeleted(version backends.Version, versions []backends.Version, added int) bool {
	newer := 0
	for _, v := range versions {
		if v.Number > version.Number && v.Tag == "" {
			newer++
		}
	}
	return version.Tag == "" && newer+added >= trackedVersions
}

// unsavedReason says why the gateway saves no definition.
func unsavedReason(err error) string {
	if errors.Is(err, ops.ErrNoFolder) {
		return "the gateway cannot save it (its operator has to set audit.jobs)"
	}
	return fmt.Sprintf("the gateway cannot save it: %v", err)
}

// confirmWarnings shows warnings and, on a terminal, asks whether to go on.
func confirmWarnings(ctx context.Context, req *router.Request, unasked bool, warnings ...string) error {
	warnings = slices.DeleteFunc(warnings, func(w string) bool { return w == "" })
	if len(warnings) == 0 {
		return nil
	}
	for _, w := range warnings {
		newProgressPrinter(req).printf("warning: %s", w)
	}
	return confirm(ctx, req, unasked, "Continue?")
}

// countChanges lists how the counts and the scaling blocks of groups that both releases have differ.
func countChanges(now, then backends.Release) (counts, scaling []string) {
	for _, g := range now.Groups {
		other, ok := then.Group(g.Name)
		if !ok {
			continue
		}
		if g.Count != other.Count {
			counts = append(counts, fmt.Sprintf("%s %d -> %d", g.Name, g.Count, other.Count))
		}
		if g.Scaling != other.Scaling {
			scaling = append(scaling, fmt.Sprintf("%s %s -> %s", g.Name, rangeText(g), rangeText(other)))
		}
	}
	return counts, scaling
}

func rangeText(g backends.ReleaseGroup) string {
	if g.Range == nil {
		return "none"
	}
	return fmt.Sprintf("%d to %d", g.Range.Min, g.Range.Max)
}

// changesText names what changes beside the release.
func changesText(counts, scaling []string) string {
	var all []string
	if len(counts) > 0 {
		all = append(all, "counts: "+strings.Join(counts, ", "))
	}
	if len(scaling) > 0 {
		all = append(all, "scaling: "+strings.Join(scaling, ", "))
	}
	return strings.Join(all, "; ")
}

// saveStopped saves a job that is about to be stopped, for start, and returns the ID of what it has saved. It returns a
// warning if it cannot save it; then nothing is saved of the job as it was stopped earlier either: start must not bring that
// back.
func saveStopped(ctx context.Context, cluster backends.Cluster, saved router.SavedDefinitions, job backends.JobDetail) (id, warning string, err error) {
	definition, err := cluster.Definition(ctx, job.Job, nil)
	if err != nil {
		return "", "", jobError(job.Job, err)
	}
	if err := checkUnchanged(job, definition); err != nil {
		return "", "", err
	}
	is, err := identify(definition)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", job.ID, err)
	}
	id, err = saved.Save(ops.Stopped, definition, job.Version, is.CreateIndex)
	if err == nil {
		return id, "", nil
	}
	if k, ok := saved.Find(ops.Stopped); ok && !k.IsOutdated(is.JobModifyIndex) {
		return "", "", nil // another stop of the same job has saved it
	}
	err = errors.Join(err, saved.Delete(ops.Stopped))
	return "", fmt.Sprintf("start %s works only until Nomad deletes the stopped job, by default 4 hours after the stop: %s", job.ID, unsavedReason(err)), nil
}

// relinkRelease lets the saved release of a job belong to the job that was registered again from this definition. To Nomad
// it is another one if it had deleted the job.
func relinkRelease(ctx context.Context, cluster backends.Cluster, saved router.SavedDefinitions, job backends.Job, definition json.RawMessage) error {
	k, ok := saved.Find(ops.Released)
	if !ok {
		return nil
	}
	was, err := identify(definition)
	if err != nil || k.CreateIndex != was.CreateIndex {
		return err
	}
	text, err := cluster.Definition(ctx, job, nil)
	var is identity
	if err == nil {
		is, err = identify(text)
	}
	if err == nil && is.CreateIndex == k.CreateIndex {
		return nil
	}
	if err == nil {
		k, ok, err = saved.Load(ops.Released)
	}
	if err == nil && ok {
		_, err = saved.Save(ops.Released, k.Definition, k.Version, is.CreateIndex)
	}
	if err != nil {
		return fmt.Errorf("revert %s cannot use the release that the gateway saved: %w", job.ID, err)
	}
	return nil
}

// startableText says how long start brings a job back that was saved now.
func startableText(job backends.JobDetail) string {
	return fmt.Sprintf("start %s brings it back until %s, even after Nomad has deleted it", job.ID, time.Now().Add(ops.Retention).UTC().Format("2006-01-02 15:04Z"))
}
