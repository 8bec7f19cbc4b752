// Package release finds the versions of a job that revert and start can bring back, and saves the ones that Nomad would
// delete. A release is what a version of a job runs, without its counts.
package release

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
	"nomadctld/internal/phrase"
)

// trackedVersions is the number of untagged versions of a job that Nomad keeps by default.
const trackedVersions = 6

// Current returns the job's current version.
func Current(job backends.JobDetail, versions []backends.Version) (backends.Version, error) {
	i := slices.IndexFunc(versions, func(v backends.Version) bool { return v.Number == job.Version })
	if i < 0 {
		newest := job.Version
		if len(versions) > 0 {
			newest = versions[0].Number
		}
		return backends.Version{}, phrase.JobError(job.Job, &backends.ChangedError{Job: job.ID, Version: newest})
	}
	return versions[i], nil
}

// Earlier returns the versions before the current one that run something else, newest first. It skips the
// versions that record a stop, and those that only allow rescheduling (see restart.Rolling).
func Earlier(current backends.Version, versions []backends.Version) (earlier []backends.Version) {
	for _, v := range versions {
		isEarlier := v.Number < current.Number && !v.Stopped && v.Release.ID != current.Release.ID
		if isEarlier && !backends.IsRescheduleVariant(v.Definition, current.Definition) {
			earlier = append(earlier, v)
		}
	}
	return earlier
}

// LastRun returns the newest version that does not record a stop, or current if there is none. The version that
// records a stop differs from what ran, because stopping a job disables its scaling policies.
func LastRun(current backends.Version, versions []backends.Version) backends.Version {
	if i := slices.IndexFunc(versions, func(v backends.Version) bool { return !v.Stopped }); current.Stopped && i >= 0 {
		return versions[i]
	}
	return current
}

// Last returns the newest stable one of the earlier releases, or the newest one if none is known to be stable.
func Last(earlier []backends.Version) (backends.Version, bool) {
	if i := slices.IndexFunc(earlier, func(v backends.Version) bool { return v.Stable }); i >= 0 {
		return earlier[i], true
	}
	if len(earlier) > 0 {
		return earlier[0], true
	}
	return backends.Version{}, false
}

// Saved returns the release that the gateway has saved for a job. now is the job's current version. ok is false
// if saved belongs to an earlier job with the same ID. release.CreateIndex is that of the definition. It is older than
// now's if Nomad had deleted the job before it was registered again.
func Saved(
	definitions ops.SavedDefinitions, now backends.Version,
) (release backends.Version, saved ops.SavedDefinition, ok bool, err error) {
	if saved, ok := definitions.Find(ops.Released); !ok || saved.CreateIndex != now.CreateIndex {
		return release, saved, false, nil
	}
	saved, ok, err = definitions.Load(ops.Released)
	if !ok || saved.CreateIndex != now.CreateIndex {
		return release, saved, false, err
	}
	id, err := Identify(saved.Definition)
	if err != nil {
		return release, saved, false, err
	}
	release = backends.Version{
		Number: saved.Version, Stable: id.Stable, CreateIndex: id.CreateIndex, Definition: saved.Definition,
	}
	release.Release, err = backends.ReleaseOf(saved.Definition)
	return release, saved, err == nil, err
}

// CompareNewestFirst compares versions, for sorting newest first. Versions of a job that Nomad has deleted are older
// than all versions of the job that was registered again.
func CompareNewestFirst(a, b backends.Version) int {
	return cmp.Or(cmp.Compare(b.CreateIndex, a.CreateIndex), cmp.Compare(b.Number, a.Number))
}

// AddSaved adds the saved release to the earlier releases, newest first, and reports whether it did. It does not add
// the release if it is the current one, if Nomad has that version, or if Nomad has an equally stable version of that
// release.
func AddSaved(
	earlier []backends.Version, saved, now backends.Version, versions []backends.Version,
) ([]backends.Version, bool) {
	isSaved := func(v backends.Version) bool { return CompareNewestFirst(v, saved) == 0 }
	isSame := func(v backends.Version) bool { return v.Release.ID == saved.Release.ID && (v.Stable || !saved.Stable) }
	inNomad := slices.ContainsFunc(versions, isSaved) || slices.ContainsFunc(earlier, isSame)
	if saved.Release.ID == now.Release.ID || inNomad {
		return earlier, false
	}
	all := append(slices.Clone(earlier), saved)
	slices.SortStableFunc(all, CompareNewestFirst)
	return all, true
}

// resaveInterval is the age at which a saved definition that is still needed is saved again, so that it does not
// expire.
const resaveInterval = 24 * time.Hour

// Save is called before a command adds versions to a job, because Nomad then deletes the oldest versions. It
// saves the last release that differs from the current one. A saved release stays unless Nomad has a better one. If
// the release cannot be saved and would be lost, Save returns a warning.
func Save(
	ctx context.Context, cluster backends.Cluster, definitions ops.SavedDefinitions, job backends.JobDetail, added int,
) (warning string, err error) {
	versions, err := cluster.Versions(ctx, job.Job)
	if err != nil {
		return "", phrase.JobError(job.Job, err)
	}
	current, err := Current(job, versions)
	if err != nil {
		return "", err
	}
	current = LastRun(current, versions)
	earlier := Earlier(current, versions)
	release, saved, isSaved, err := Saved(definitions, current)
	if err != nil {
		isSaved = false // replace a release that cannot be read
	}
	if isSaved {
		earlier, _ = AddSaved(earlier, release, current, versions)
	}
	last, ok := Last(earlier)
	if !ok {
		return "", nil
	}
	isSaved = isSaved && CompareNewestFirst(release, last) == 0
	if isSaved && release.Stable == last.Stable && time.Since(saved.Time) < resaveInterval {
		return "", nil
	}
	_, err = definitions.Save(ops.Released, last.Definition, last.Number, current.CreateIndex)
	if err == nil || isSaved || !willBeDeleted(last, versions, added) {
		return "", nil
	}
	return fmt.Sprintf("Nomad keeps only %d versions of a job: this change deletes version %d of %s, "+
		"the last release before the current one, and %s",
		trackedVersions, last.Number, job.ID, unsavedReason("that version", err)), nil
}

// willBeDeleted reports whether Nomad deletes a version when more versions are added.
func willBeDeleted(version backends.Version, versions []backends.Version, added int) bool {
	newer := 0
	for _, v := range versions {
		if v.Number > version.Number && v.Tag == "" {
			newer++
		}
	}
	return version.Tag == "" && newer+added >= trackedVersions
}

// unsavedReason explains why the gateway cannot save something.
func unsavedReason(what string, err error) string {
	if errors.Is(err, ops.ErrNoFolder) {
		return "the gateway cannot save " + what + " (ask its operator to set audit.jobs)"
	}
	return fmt.Sprintf("the gateway cannot save %s (%v)", what, err)
}

// CountChanges returns the differences between the counts and scaling blocks of the groups that exist in both releases.
func CountChanges(now, then backends.Release) (counts, scaling []string) {
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

// ChangesText describes changes of counts and scaling blocks.
func ChangesText(counts, scaling []string) string {
	var all []string
	if len(counts) > 0 {
		all = append(all, "counts: "+strings.Join(counts, ", "))
	}
	if len(scaling) > 0 {
		all = append(all, "scaling: "+strings.Join(scaling, ", "))
	}
	return strings.Join(all, "; ")
}

// SaveStopped saves the definition of a job before it is stopped, so that start can bring it back, and returns the ID
// of the saved definition. If it cannot be saved, SaveStopped returns a warning and deletes the definition saved at
// an earlier stop, which start must not bring back.
func SaveStopped(
	ctx context.Context, cluster backends.Cluster, definitions ops.SavedDefinitions, job backends.JobDetail,
) (id, warning string, err error) {
	definition, err := cluster.Definition(ctx, job.Job, nil)
	if err != nil {
		return "", "", phrase.JobError(job.Job, err)
	}
	if err := CheckUnchanged(job, definition); err != nil {
		return "", "", err
	}
	now, err := Identify(definition)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", job.ID, err)
	}
	id, err = definitions.Save(ops.Stopped, definition, job.Version, now.CreateIndex)
	if err == nil {
		return id, "", nil
	}
	if saved, ok := definitions.Find(ops.Stopped); ok && !saved.IsOutdated(now.JobModifyIndex) {
		return "", "", nil // another stop of the same version has saved it
	}
	err = errors.Join(err, definitions.Delete(ops.Stopped))
	return "", fmt.Sprintf("%s: start %s works only until Nomad deletes the stopped job, "+
		"by default 4 hours after the stop", unsavedReason("the definition of "+job.ID, err), job.ID), nil
}

// Relink assigns the saved release of a job to the job that was registered again from definition. If Nomad had
// deleted the job, it now has a new CreateIndex.
func Relink(
	ctx context.Context, cluster backends.Cluster, definitions ops.SavedDefinitions, job backends.Job,
	definition json.RawMessage,
) error {
	saved, ok := definitions.Find(ops.Released)
	if !ok {
		return nil
	}
	before, err := Identify(definition)
	if err != nil || saved.CreateIndex != before.CreateIndex {
		return err
	}
	text, err := cluster.Definition(ctx, job, nil)
	var now Identity
	if err == nil {
		now, err = Identify(text)
	}
	if err == nil && now.CreateIndex == saved.CreateIndex {
		return nil
	}
	if err == nil {
		saved, ok, err = definitions.Load(ops.Released)
	}
	if err == nil && ok {
		_, err = definitions.Save(ops.Released, saved.Definition, saved.Version, now.CreateIndex)
	}
	if err != nil {
		return fmt.Errorf("revert %s cannot use the release that the gateway saved: %w", job.ID, err)
	}
	return nil
}
