package jobrelease

import (
	"fmt"
	"slices"

	"nomadctld/backends"
)

// History is the versions to which a job can be reverted.
type History struct {
	Job      backends.JobDetail
	Now      backends.Version   // the current version or, if the job is stopped, the one that ran (see LastRun)
	Versions []backends.Version // newest first
	Saved    *backends.Version  // the release that the gateway has saved; nil: none
}

// LastRelease returns the last release before the current one, and whether only the gateway has it.
func (h History) LastRelease() (then backends.Version, onlySaved bool, err error) {
	if h.Job.Stopped {
		return h.Now, false, fmt.Errorf("%s is stopped (bring it back: start %s; "+
			"start an earlier version: revert %s VERSION; see: history %s)", h.Job.ID, h.Job.ID, h.Job.ID, h.Job.ID)
	}
	all := earlierReleases(h.Now, h.Versions)
	if h.Saved != nil {
		all, onlySaved = addSaved(all, *h.Saved, h.Now, h.Versions)
	}
	then, ok := lastRelease(all)
	isStable := func(v backends.Version) bool { return v.Stable }
	isEarlier := func(v backends.Version) bool { return v.Number < h.Now.Number }
	switch needsStable := h.Job.Type == "service" || slices.ContainsFunc(h.Versions, isStable); {
	case !ok && !slices.ContainsFunc(h.Versions, isEarlier):
		return h.Now, false, fmt.Errorf("%s has no version before %d: nothing to revert to", h.Job.ID, h.Now.Number)
	case !ok:
		return h.Now, false, fmt.Errorf("%s has no earlier version that differs from version %d in anything but counts "+
			"(see: history %s)",
			h.Job.ID, h.Now.Number, h.Job.ID)
	case needsStable && !then.Stable:
		return h.Now, false, fmt.Errorf("%s has no stable version that differs from version %d in anything but counts; "+
			"to revert to a version not known to be stable: revert %s %d (see: history %s)",
			h.Job.ID, h.Now.Number, h.Job.ID, then.Number, h.Job.ID)
	}
	return then, onlySaved && compareNewestFirst(then, *h.Saved) == 0, nil
}

// Numbered returns the version with a number, and whether only the gateway has it.
func (h History) Numbered(version uint64) (then backends.Version, onlySaved bool, err error) {
	if version == h.Job.Version {
		return h.Now, false, fmt.Errorf("%s is already at version %d", h.Job.ID, version)
	}
	switch i := slices.IndexFunc(h.Versions, func(v backends.Version) bool { return v.Number == version }); {
	case i >= 0:
		then = h.Versions[i]
	case h.Saved != nil && h.Saved.Number == version:
		then, onlySaved = *h.Saved, true
	case h.Saved != nil && h.Saved.Release.ID != h.Now.Release.ID:
		return h.Now, false,
			fmt.Errorf("Nomad has no version %d of %s, and the gateway has saved version %d (see: history %s)",
				version, h.Job.ID, h.Saved.Number, h.Job.ID)
	default:
		return h.Now, false, fmt.Errorf("Nomad has no version %d of %s (see: history %s)", version, h.Job.ID, h.Job.ID)
	}
	switch {
	case then.Stopped:
		return h.Now, false, fmt.Errorf("version %d of %s only records that the job was stopped: choose another version "+
			"(see: history %s)", version, h.Job.ID, h.Job.ID)
	case then.Release.Equal(h.Now.Release) && h.Job.Stopped:
		return h.Now, false, fmt.Errorf("%s is stopped, and version %d ran before the stop (bring it back: start %s)",
			h.Job.ID, version, h.Job.ID)
	case then.Release.Equal(h.Now.Release):
		return h.Now, false, fmt.Errorf("version %d of %s is the same as version %d, the current one: nothing to revert "+
			"(see: history %s)", version, h.Job.ID, h.Now.Number, h.Job.ID)
	}
	return then, onlySaved, nil
}

// WithCurrentCounts returns the definition of a version with the counts of the current one.
func WithCurrentCounts(now, then backends.Version) ([]byte, error) {
	counts := map[string]int{}
	for _, g := range then.Release.Groups {
		current, ok := now.Release.Group(g.Name)
		if !ok {
			continue
		}
		if s := g.Range; s != nil && (current.Count < s.Min || current.Count > s.Max) {
			return nil, fmt.Errorf("version %d allows a count of %d to %d for group %s, but the current count is %d: "+
				"apply the counts of that version with --yes, or scale first",
				then.Number, s.Min, s.Max, g.Name, current.Count)
		}
		counts[g.Name] = current.Count
	}
	return backends.WithCounts(then.Definition, counts)
}
