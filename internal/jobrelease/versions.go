// Package jobrelease finds the versions of a job that revert and start can bring back, and saves the ones that Nomad
// would delete. A release is what a version of a job runs, without its counts.
package jobrelease

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
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

// earlierReleases returns the versions before the current one that run something else, newest first. It skips the
// versions that record a stop, and those that only allow rescheduling (see restart.Rolling).
func earlierReleases(current backends.Version, versions []backends.Version) (earlier []backends.Version) {
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

// lastRelease returns the newest stable one of the earlier releases, or the newest one if none is known to be stable.
func lastRelease(earlier []backends.Version) (backends.Version, bool) {
	if i := slices.IndexFunc(earlier, func(v backends.Version) bool { return v.Stable }); i >= 0 {
		return earlier[i], true
	}
	if len(earlier) > 0 {
		return earlier[0], true
	}
	return backends.Version{}, false
}

// compareNewestFirst compares versions, for sorting newest first. Versions of a job that Nomad has deleted are older
// than all versions of the job that was registered again.
func compareNewestFirst(a, b backends.Version) int {
	return cmp.Or(cmp.Compare(b.CreateIndex, a.CreateIndex), cmp.Compare(b.Number, a.Number))
}

// addSaved adds the saved release to the earlier releases, newest first, and reports whether it did. It does not add
// the release if it is the current one, if Nomad has that version, or if Nomad has a version of that release that is at
// least as stable.
func addSaved(
	earlier []backends.Version, saved, now backends.Version, versions []backends.Version,
) ([]backends.Version, bool) {
	isSaved := func(v backends.Version) bool { return compareNewestFirst(v, saved) == 0 }
	isSame := func(v backends.Version) bool { return v.Release.ID == saved.Release.ID && (v.Stable || !saved.Stable) }
	inNomad := slices.ContainsFunc(versions, isSaved) || slices.ContainsFunc(earlier, isSame)
	if saved.Release.ID == now.Release.ID || inNomad {
		return earlier, false
	}
	all := append(slices.Clone(earlier), saved)
	slices.SortStableFunc(all, compareNewestFirst)
	return all, true
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
