package router

import (
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// SavedDefinitions returns the saved definitions of req.Job.
func (r *Request) SavedDefinitions() ops.SavedDefinitions {
	return r.runner.operations.SavedDefinitions(r.Job.Ref(), r.User.Login, strings.Join(r.redacted.words, " "))
}

// deleteOutdatedSaved deletes the saved definitions of stopped jobs that have been registered again since.
func (r *operationRunner) deleteOutdatedSaved(listed []backends.Job) {
	if r.operations == nil {
		return
	}
	r.operations.DropOutdated(listed, func(saved ops.SavedDefinition, err error) {
		r.log.Warn("cannot delete the saved definition of a job that was registered again",
			"job", saved.Job.ID, "error", err)
	})
}

// savedJobs returns the user's stopped jobs that the gateway has saved and Nomad has not listed, in the selected
// tier and namespace.
func (r *Request) savedJobs(listed []backends.Job) (jobs []backends.Job) {
	tiers, err := r.Cluster.(*scopedCluster).tiers(r.Tier)
	if err != nil || r.runner == nil {
		return nil
	}
	registry := r.runner.operations
	for _, entry := range registry.ListSaved(ops.Stopped) {
		isSame := func(j backends.Job) bool {
			return registry.SameJob(entry.Job, j.Ref())
		}
		job := entry.Job
		selected := slices.Contains(tiers, job.Tier) && (r.Namespace == "" || r.Namespace == job.Namespace)
		if !selected || !r.ownsJob(job) || slices.ContainsFunc(listed, isSame) {
			continue
		}
		jobs = append(jobs, backends.Job{
			Tier: job.Tier, Namespace: job.Namespace, ID: job.ID, Root: job.Root, Status: "dead", Stopped: true,
		})
	}
	return jobs
}
