package router

import (
	"encoding/json"
	"slices"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// SavedDefinitions gives access to the definitions that the gateway has saved for one job of the user.
type SavedDefinitions struct {
	operations    *ops.Registry
	job           ops.Job
	user, command string
}

// NewSavedDefinitions returns the saved definitions of a job. New ones are saved with the given user and command
// line.
func NewSavedDefinitions(registry *ops.Registry, job ops.Job, user, command string) SavedDefinitions {
	return SavedDefinitions{registry, job, user, command}
}

// Saved returns the saved definitions of the target's job.
func (o *Operations) Saved() SavedDefinitions {
	return NewSavedDefinitions(o.runner.operations, o.job(), o.user, o.command())
}

// SavedDefinitions returns the saved definitions of the operation's job.
func (o Operation) SavedDefinitions() SavedDefinitions {
	return NewSavedDefinitions(o.runner.operations, o.Job, o.User, o.Command)
}

// Save saves a definition of the job; see ops.Registry.Save.
func (s SavedDefinitions) Save(kind ops.Kind, definition json.RawMessage,
	version, createIndex uint64,
) (id string, err error) {
	return s.operations.Save(kind, s.job, s.user, s.command, definition, version, createIndex)
}

// Find returns the saved entry of a kind without the definition.
func (s SavedDefinitions) Find(kind ops.Kind) (ops.SavedDefinition, bool) {
	return s.operations.FindSaved(kind, s.job)
}

// Load is Find with the definition, which it reads from disk.
func (s SavedDefinitions) Load(kind ops.Kind) (entry ops.SavedDefinition, ok bool, err error) {
	return s.operations.LoadSaved(kind, s.job)
}

// DeleteByID deletes the definition that Save saved under an ID, unless a newer one has replaced it.
func (s SavedDefinitions) DeleteByID(id string) error { return s.operations.DropByID(id) }

// Delete deletes the saved definition of a kind.
func (s SavedDefinitions) Delete(kind ops.Kind) error { return s.operations.DropSaved(kind, s.job) }

// deleteOutdatedSaved deletes the saved definitions of stopped jobs that have been registered again since. It keeps
// a definition that was saved after the listing was made.
func (r *operationRunner) deleteOutdatedSaved(listed []backends.Job) {
	registry := r.operations
	if registry == nil {
		return
	}
	saved := registry.ListSaved(ops.Stopped)
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
			return entry.IsOutdated(j.ModifyIndex) && registry.SameJob(entry.Job,
				ops.Job{Tier: j.Tier, Namespace: j.Namespace, ID: j.ID})
		})
		if !started {
			continue
		}
		if err := registry.DropByID(entry.ID); err != nil {
			r.log.Warn("cannot delete the saved definition of a job that was registered again",
				"job", entry.Job.ID, "error", err)
		}
	}
}

// savedJobs returns the user's stopped jobs that the gateway has saved and Nomad has not listed, in the selected
// tier and namespace.
func (o *Operations) savedJobs(listed []backends.Job, selection backends.Selection) (jobs []backends.Job) {
	if o == nil {
		return nil
	}
	tiers, err := o.scope.tiers(selection.Tier)
	if err != nil {
		return nil
	}
	registry := o.runner.operations
	for _, entry := range registry.ListSaved(ops.Stopped) {
		isSame := func(j backends.Job) bool {
			return registry.SameJob(entry.Job, ops.Job{Tier: j.Tier, Namespace: j.Namespace, ID: j.ID})
		}
		job := entry.Job
		selected := slices.Contains(tiers, job.Tier) && (selection.Namespace == "" || selection.Namespace == job.Namespace)
		if !selected || !o.owns(job) || slices.ContainsFunc(listed, isSame) {
			continue
		}
		jobs = append(jobs, backends.Job{
			Tier: job.Tier, Namespace: job.Namespace, ID: job.ID, Root: job.Root, Status: "dead", Stopped: true,
		})
	}
	return jobs
}
