package router

import (
	"encoding/json"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// Saved is what the gateway has saved of one job that is the user's, beside what Nomad keeps.
type Saved struct {
	registry      *ops.Registry
	job           ops.Job
	user, command string
}

// NewSaved returns what is saved of a job. What a user saves has their login and command line.
func NewSaved(registry *ops.Registry, job ops.Job, user, command string) Saved {
	return Saved{registry, job, user, command}
}

// Saved returns what is saved of req.Job.
func (r *Request) Saved() Saved {
	return NewSaved(r.background.registry, r.opsJob(), r.User.Login, strings.Join(r.recorded.words, " "))
}

// Saved returns what is saved of the operation's job.
func (w Work) Saved() Saved { return NewSaved(w.background.registry, w.Job, w.User, w.Command) }

// Save writes a definition of the job down; see ops.Registry.Save.
func (s Saved) Save(kind ops.Kind, definition json.RawMessage, version, of uint64) (id string, err error) {
	return s.registry.Save(kind, s.job, s.user, s.command, definition, version, of)
}

// Find returns what is saved of a kind, without the definition.
func (s Saved) Find(kind ops.Kind) (ops.Kept, bool) { return s.registry.SavedOf(kind, s.job) }

// Get is Find with the definition, which it reads from disk.
func (s Saved) Get(kind ops.Kind) (k ops.Kept, ok bool, err error) {
	return s.registry.LoadSaved(kind, s.job)
}

// Undo removes what Save has saved under an ID, unless something newer has replaced it.
func (s Saved) Undo(id string) error { return s.registry.Drop(id) }

// Drop removes what is saved of a kind.
func (s Saved) Drop(kind ops.Kind) error { return s.registry.DropSaved(kind, s.job) }

// dropStarted removes the saved definitions of stopped jobs that were registered again since, and are listed as not
// stopped. One that a stop has saved just now stays: the listing may be older.
func (b *background) dropStarted(listed []backends.Job) {
	registry := b.registry
	if registry == nil {
		return
	}
	saved := registry.Saved(ops.Stopped)
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
			return k.ChangedBy(j.ModifyIndex) && registry.Same(k.Job, ops.Job{Tier: j.Tier, Namespace: j.Namespace, ID: j.ID})
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
	tiers, err := r.Cluster.(*scope).tiers(r.Tier)
	if err != nil || r.background == nil {
		return nil
	}
	registry := r.background.registry
	for _, k := range registry.Saved(ops.Stopped) {
		is := func(j backends.Job) bool {
			return registry.Same(k.Job, ops.Job{Tier: j.Tier, Namespace: j.Namespace, ID: j.ID})
		}
		if !r.ownsJob(k.Job) || !slices.Contains(tiers, k.Job.Tier) || r.Namespace != "" && r.Namespace != k.Job.Namespace || slices.ContainsFunc(listed, is) {
			continue
		}
		jobs = append(jobs, backends.Job{Tier: k.Job.Tier, Namespace: k.Job.Namespace, ID: k.Job.ID, Root: k.Job.Root, Status: "dead", Stopped: true})
	}
	return jobs
}
