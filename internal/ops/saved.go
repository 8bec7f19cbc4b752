package ops

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

// maxSaved is how many bytes all saved definitions may have together on disk.
const maxSaved = 256 << 20

func (k Kept) expired() bool { return k.Kind != "" && time.Since(k.Time) > SavedFor }

// Save writes a definition of a job down, in place of an earlier one of the same kind. of is the CreateIndex of the job that
// it belongs to. It returns the ID of what it has saved. When the error is nil, a loss of power does not lose the definition
// either. It refuses child jobs: there is no limit on how many a user may make. If all saved definitions together become too
// large, it removes the oldest ones.
func (r *Registry) Save(kind Kind, job Job, user, command string, definition json.RawMessage, version, of uint64) (id string, err error) {
	r.saving.Lock()
	defer r.saving.Unlock()
	if job.ID != job.Root {
		return "", fmt.Errorf("definitions of child jobs are not saved: %s is a child of %s", job.ID, job.Root)
	}
	k := Kept{
		ID: newID(), Job: job, User: user, Command: command, Time: time.Now().UTC(), Version: version, Definition: definition,
		Kind: kind, Of: of,
	}
	if err := r.keep(k); err != nil {
		return "", err
	}
	if err := r.makeRoom(k); err != nil {
		return "", errors.Join(fmt.Errorf("an earlier definition cannot be removed: %w", err), r.Drop(k.ID))
	}
	return k.ID, nil
}

// makeRoom removes the definitions that the saved one replaces, those that have expired, and the oldest ones if all
// together are too large. An error is about one that is replaced; others stay for the next time.
func (r *Registry) makeRoom(saved Kept) error {
	r.mu.Lock()
	var old, others []Kept
	total := 0
	for _, k := range r.kept {
		switch {
		case k.Kind == "":
		case k.ID != saved.ID && (k.expired() || k.Kind == saved.Kind && r.Same(k.Job, saved.Job)):
			old = append(old, k)
		default:
			total += k.size
			if k.ID != saved.ID {
				others = append(others, k)
			}
		}
	}
	r.mu.Unlock()
	for _, k := range old {
		if err := r.Drop(k.ID); err != nil && k.Kind == saved.Kind && r.Same(k.Job, saved.Job) {
			return err
		}
	}
	slices.SortFunc(others, func(a, b Kept) int { return a.Time.Compare(b.Time) })
	for _, k := range others {
		if total <= r.maxSaved {
			break
		}
		if r.Drop(k.ID) != nil {
			continue
		}
		total -= k.size
		if r.OnEvict != nil {
			r.OnEvict(k)
		}
	}
	return nil
}

// Saved returns what Save has written of a kind, newest first, without the definitions.
func (r *Registry) Saved(kind Kind) []Kept {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Kept
	for _, k := range r.kept {
		if k.Kind == kind && !k.expired() {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b Kept) int { return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.ID, b.ID)) })
	return all
}

// SavedOf returns what is saved of a job and a kind, without the definition.
func (r *Registry) SavedOf(kind Kind, job Job) (Kept, bool) {
	for _, k := range r.Saved(kind) {
		if r.Same(k.Job, job) && k.Job.Root == job.Root {
			return k, true
		}
	}
	return Kept{}, false
}

// LoadSaved is SavedOf with the definition, which it reads from disk and verifies.
func (r *Registry) LoadSaved(kind Kind, job Job) (k Kept, ok bool, err error) {
	for {
		if k, ok = r.SavedOf(kind, job); !ok {
			return k, false, nil
		}
		loaded, err := r.load(k.ID, filepath.Join(r.folderOf(kind), k.ID+suffix))
		switch {
		case errors.Is(err, fs.ErrNotExist): // a newer one may have replaced it since
			if err := r.Drop(k.ID); err != nil {
				return Kept{}, false, err
			}
		case err == nil && (loaded.Kind != kind || loaded.Job != k.Job):
			return Kept{}, false, errForged
		default:
			return loaded, err == nil, err
		}
	}
}

// DropSaved removes what is saved of a job and a kind.
func (r *Registry) DropSaved(kind Kind, job Job) error {
	for {
		k, ok := r.SavedOf(kind, job)
		if !ok {
			return nil
		}
		if err := r.Drop(k.ID); err != nil {
			return err
		}
	}
}
