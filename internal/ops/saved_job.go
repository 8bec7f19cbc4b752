package ops

import (
	"encoding/json"
	"slices"

	"nomadctld/backends"
)

// SavedDefinitions gives access to the saved definitions of one job.
type SavedDefinitions struct {
	registry      *Registry
	job           backends.JobRef
	user, command string
}

// SavedDefinitions returns the saved definitions of a job. New ones are saved with the given user and command line.
func (r *Registry) SavedDefinitions(job backends.JobRef, user, command string) SavedDefinitions {
	return SavedDefinitions{r, job, user, command}
}

// Save saves a definition of the job; see Registry.Save.
func (s SavedDefinitions) Save(
	kind Kind, definition json.RawMessage, version, createIndex uint64,
) (id string, err error) {
	return s.registry.Save(kind, s.job, s.user, s.command, definition, version, createIndex)
}

// Find returns the saved entry of a kind without the definition.
func (s SavedDefinitions) Find(kind Kind) (SavedDefinition, bool) {
	return s.registry.FindSaved(kind, s.job)
}

// Load is Find with the definition, which it reads from disk.
func (s SavedDefinitions) Load(kind Kind) (entry SavedDefinition, ok bool, err error) {
	return s.registry.LoadSaved(kind, s.job)
}

// DeleteByID deletes the definition that Save saved under an ID, unless a newer one has replaced it.
func (s SavedDefinitions) DeleteByID(id string) error { return s.registry.DeleteByID(id) }

// Delete deletes the saved definition of a kind.
func (s SavedDefinitions) Delete(kind Kind) error { return s.registry.DeleteSaved(kind, s.job) }

// DeleteOutdated deletes the saved definitions of stopped jobs that have been registered again since. listed are jobs
// as Nomad lists them. A definition that was saved after the listing was made stays. failed is called for each
// definition that cannot be deleted.
func (r *Registry) DeleteOutdated(listed []backends.Job, failed func(SavedDefinition, error)) {
	saved := r.ListSaved(Stopped)
	if len(saved) == 0 {
		return
	}
	byID := map[string][]backends.Job{}
	for _, j := range listed {
		if !j.Stopped {
			byID[j.ID] = append(byID[j.ID], j)
		}
	}
	for _, entry := range saved {
		started := slices.ContainsFunc(byID[entry.Job.ID], func(j backends.Job) bool {
			return entry.IsOutdated(j.ModifyIndex) && r.SameJob(entry.Job, j.Ref())
		})
		if !started {
			continue
		}
		if err := r.DeleteByID(entry.ID); err != nil {
			failed(entry, err)
		}
	}
}
