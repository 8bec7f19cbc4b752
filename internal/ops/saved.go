package ops

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Kind says what a definition is kept for. The zero Kind is an operation that is to bring the job back.
type Kind string

const (
	Stopped  Kind = "stopped"  // the job as it was when it was stopped
	Released Kind = "released" // the last release of the job before the current one
)

// SavedFor is how long the gateway saves a definition of a job that is stopped, or of an earlier release.
const SavedFor = 30 * 24 * time.Hour

// folderOf returns the folder of the definitions of a kind: that of operations, or the one beside it. What is in the first
// one is there because something went wrong.
func (r *Registry) folderOf(kind Kind) string {
	if kind == "" {
		return r.folder
	}
	return filepath.Clean(r.folder) + "-saved"
}

// Save writes a definition of a job down, in place of an earlier one of the same kind. of is the CreateIndex of the job that
// it belongs to. When it returns nil, a loss of power does not lose the definition either.
func (r *Registry) Save(kind Kind, job Job, user, command string, definition json.RawMessage, version, of uint64) error {
	k := Kept{
		ID: newID(), Job: job, User: user, Command: command, Time: time.Now().UTC(), Version: version, Definition: definition,
		Kind: kind, Of: of,
	}
	if err := r.keep(k); err != nil {
		return err
	}
	r.mu.Lock()
	var old []string
	for _, other := range r.kept {
		expired := other.Kind != "" && time.Since(other.Time) > SavedFor
		if other.ID != k.ID && (expired || other.Kind == kind && r.same(other.Job, job)) {
			old = append(old, other.ID)
		}
	}
	r.mu.Unlock()
	for _, id := range old {
		if err := r.Drop(id); err != nil {
			return fmt.Errorf("an earlier definition of %s cannot be removed: %w", job.ID, err)
		}
	}
	return nil
}

// Saved returns the definitions of a kind that Save has written, newest first.
func (r *Registry) Saved(kind Kind) []Kept {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Kept
	for _, k := range r.kept {
		if k.Kind == kind && time.Since(k.Time) <= SavedFor {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b Kept) int { return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.ID, b.ID)) })
	return all
}

// SavedOf returns the definition of a kind that is saved of a job.
func (r *Registry) SavedOf(kind Kind, job Job) (Kept, bool) {
	for _, k := range r.Saved(kind) {
		if r.same(k.Job, job) && k.Job.Root == job.Root {
			return k, true
		}
	}
	return Kept{}, false
}

// Same reports whether two jobs are one, which may be reached through several tiers.
func (r *Registry) Same(a, b Job) bool { return r.same(a, b) }
