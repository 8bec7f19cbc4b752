package router

import (
	"encoding/json"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// SavedDefinitions is what the gateway has saved of one job that is the user's, beside what Nomad keeps.
type SavedDefinitions struct {
	registry      *ops.Registry
	job           ops.Job
	user, command string
}

// NewSavedDefinitions returns what is saved of a job. What a user saves has their login and command line.
func NewSavedDefinitions(registry *ops.Registry, job ops.Job, user, command string) SavedDefinitions {
	return SavedDefinitions{registry, job, user, command}
}

// SavedDefinitions returns what is saved of req.Job.
func (r *Request) SavedDefinitions() SavedDefinitions {
	return NewSavedDefinitions(r.runner.registry, r.opsJob(), r.User.Login, strings.Join(r.redacted.words, " "))
}

// SavedDefinitions returns what is saved of the operation's job.
func (w Work) SavedDefinitions() SavedDefinitions {
	return NewSavedDefinitions(w.runner.registry, w.Job, w.User, w.Command)
}

// Save writes a definition of the job down; see ops.Registry.Save.
func (s SavedDefinitions) Save(kind ops.Kind, definition json.RawMessage, version, of uint64) (id string, err error) {
	return s.registry.Save(kind, s.job, s.user, s.command, definition, version, of)
}

// Find returns what is saved of a kind, without the definition.
func (s SavedDefinitions) Find(kind ops.Kind) (ops.SavedJob, bool) {
	return s.registry.FindSaved(kind, s.job)
}

// Load is Find with the definition, which it reads from disk.
func (s SavedDefinitions) Load(kind ops.Kind) (k ops.SavedJob, ok bool, err error) {
	return s.registry.LoadSaved(kind, s.job)
}

// DeleteByID removes what Save has saved under an ID, unless something newer has replaced it.
func (s SavedDefinitions) DeleteByID(id string) error { return s.registry.Drop(id) }

// Delete removes what is saved of a kind.
func (s SavedDefinitions) Delete(kind ops.Kind) error { return s.registry.DropSaved(kind, s.job) }

// deleteSavedOfRunning removes the saved definitions of stopped jobs that were registered again since, and are listed as not
// stopped. One that a stop has saved just now stays: the listing may be older.
func (b *operationRunner) deleteSavedOfRunning(listed []backends.Job) {
	registry := b.registry
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
	for _, k := range saved {
		started := slices.ContainsFunc(byID[k.Job.ID], func(j backends.Job) bool {
			return k.IsOutdated(j.ModifyIndex) && registry.SameJob(k.Job, ops.Job{Tier: j.Tier, Namespace: j.Namespace, ID: j.ID})
		})
		if !started {
			continue
		}
		if err := registry.Drop(k.ID); err != nil {
			b.log.Warn("the saved definition of a job that was started again cannot be removed", "job", k.Job.ID, "error", err)
		}
	}
}

// savedJobs returns the stopped jobs that the gateway has saved and that are not among those that Nomad has listed. They
// are the user's, and of the tier and namespace that the command is about.
func (r *Request) savedJobs(listed []backends.Job) (jobs []backends.Job) {
	tiers, err := r.Cluster.(*scopedCluster).tiers(r.Tier)
	if err != nil || r.runner == nil {
		return nil
	}
	registry := r.runner.registry
	for _, k := range registry.ListSaved(ops.Stopped) {
		is := func(j backends.Job) bool {
			return registry.SameJob(k.Job, ops.Job{Tier: j.Tier, Namespace: j.Namespace, ID: j.ID})
		}
		if !r.ownsJob(k.Job) || !slices.Contains(tiers, k.Job.Tier) || r.Namespace != "" && r.Namespace != k.Job.Namespace || slices.ContainsFunc(listed, is) {
			continue
		}
		jobs = append(jobs, backends.Job{Tier: k.Job.Tier, Namespace: k.Job.Namespace, ID: k.Job.ID, Root: k.Job.Root, Status: "dead", Stopped: true})
	}
	return jobs
}
