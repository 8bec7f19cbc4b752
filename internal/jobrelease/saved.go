package jobrelease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/ops"
	"nomadctld/internal/phrase"
)

// Saved returns the release that the gateway has saved for a job. now is the job's current version. ok is false
// if nothing is saved, or only for an earlier job with the same ID. release.CreateIndex is the CreateIndex in the
// definition. It is lower than now.CreateIndex if Nomad deleted the job and Relink assigned the release to the new one.
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

// resaveInterval is the age at which a saved definition that is still needed is saved again, so that it does not
// expire.
const resaveInterval = 24 * time.Hour

// Save is called before a command adds versions to a job, because Nomad then deletes the oldest versions. It saves the
// last release that differs from the current one. A saved release stays unless lastRelease prefers one that Nomad has.
// If the release cannot be saved and would be lost, Save returns a warning.
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
	earlier := earlierReleases(current, versions)
	release, saved, isSaved, err := Saved(definitions, current)
	if err != nil {
		isSaved = false // replace a release that cannot be read
	}
	if isSaved {
		earlier, _ = addSaved(earlier, release, current, versions)
	}
	last, ok := lastRelease(earlier)
	if !ok {
		return "", nil
	}
	isSaved = isSaved && compareNewestFirst(release, last) == 0
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

// unsavedReason explains why the gateway cannot save something.
func unsavedReason(what string, err error) string {
	if errors.Is(err, ops.ErrNoFolder) {
		return "the gateway cannot save " + what + " (ask its operator to set audit.jobs)"
	}
	return fmt.Sprintf("the gateway cannot save %s (%v)", what, err)
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
	return "", fmt.Sprintf("%s: \"start %s\" works only until Nomad deletes the stopped job, "+
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
		return fmt.Errorf("\"revert %s\" cannot use the release that the gateway saved: %w", job.ID, err)
	}
	return nil
}

// DeleteSaved deletes the saved definitions of a job that was purged.
func DeleteSaved(definitions ops.SavedDefinitions, jobID string) error {
	if err := errors.Join(definitions.Delete(ops.Stopped), definitions.Delete(ops.Released)); err != nil {
		return fmt.Errorf("%s is purged, but the gateway cannot remove its saved definition: %w "+
			"(try again: stop --purge %s)", jobID, err, jobID)
	}
	return nil
}

// StartableText describes how long start can bring back a job that was saved now.
func StartableText(job backends.JobDetail) string {
	until := time.Now().Add(ops.Retention).UTC().Format("2006-01-02 15:04Z")
	return fmt.Sprintf("until %s, start %s brings it back, even after Nomad has deleted it", until, job.ID)
}
