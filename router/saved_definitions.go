package router

import (
	"slices"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// Saved returns the saved definitions of the target's job.
func (o *Operations) Saved() ops.SavedDefinitions {
	return o.runner.operations.SavedDefinitions(o.target.Job.Ref(), o.user, o.command())
}

// deleteOutdatedSaved deletes the saved definitions of stopped jobs that have been registered again since.
func (r *operationRunner) deleteOutdatedSaved(listed []backends.Job) {
	if r.operations == nil {
		return
	}
	r.operations.DeleteOutdated(listed, func(saved ops.SavedDefinition, err error) {
		r.log.Warn("cannot delete the saved definition of a job that was registered again",
			"job", saved.Job.ID, "error", err)
	})
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
			return registry.SameJob(entry.Job, j.Ref())
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
