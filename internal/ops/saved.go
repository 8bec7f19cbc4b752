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

// Retention is how long the gateway saves a definition of a job that is stopped, or of an earlier release.
const Retention = 30 * 24 * time.Hour

// folderOf returns the folder of the definitions of a kind: that of operations, or the one beside it. What is in the first
// one is there because something went wrong.
func (r *Registry) folderOf(kind Kind) string {
	if kind == "" {
		return r.folder
	}
	return filepath.Clean(r.folder) + "-saved"
}

// maxSavedBytes is how many bytes all saved definitions may have together on disk.
const maxSavedBytes = 256 << 20

func (k SavedJob) expired() bool { return k.Kind != "" && time.Since(k.Time) > Retention }

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
	k := SavedJob{
		ID: newID(), Job: job, User: user, Command: command, Time: time.Now().UTC(), Version: version, Definition: definition,
		Kind: kind, CreateIndex: of,
	}
	if err := r.persist(k); err != nil {
		return "", err
	}
	if err := r.evictOld(k); err != nil {
		return "", errors.Join(fmt.Errorf("an earlier definition cannot be removed: %w", err), r.Drop(k.ID))
	}
	return k.ID, nil
}

// evictOld removes the definitions that the saved one replaces, those that have expired, and the oldest ones if all
// together are too large. An error is about one that is replaced; others stay for the next time.
func (r *Registry) evictOld(saved SavedJob) error {
	r.mu.Lock()
	var old, others []SavedJob
	total := 0
	for _, k := range r.saved {
		switch {
		case k.Kind == "":
		case k.ID != saved.ID && (k.expired() || k.Kind == saved.Kind && r.SameJob(k.Job, saved.Job)):
			old = append(old, k)
		default:
			total += k.fileSize
			if k.ID != saved.ID {
				others = append(others, k)
			}
		}
	}
	r.mu.Unlock()
	for _, k := range old {
		if err := r.Drop(k.ID); err != nil && k.Kind == saved.Kind && r.SameJob(k.Job, saved.Job) {
			return err
		}
	}
	slices.SortFunc(others, func(a, b SavedJob) int { return a.Time.Compare(b.Time) })
	for _, k := range others {
		if total <= r.maxSavedBytes {
			break
		}
		if r.Drop(k.ID) != nil {
			continue
		}
		total -= k.fileSize
		if r.OnEvict != nil {
			r.OnEvict(k)
		}
	}
	return nil
}

// ListSaved returns what Save has written of a kind, newest first, without the definitions.
func (r *Registry) ListSaved(kind Kind) []SavedJob {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []SavedJob
	for _, k := range r.saved {
		if k.Kind == kind && !k.expired() {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b SavedJob) int { return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.ID, b.ID)) })
	return all
}

// FindSaved returns what is saved of a job and a kind, without the definition.
func (r *Registry) FindSaved(kind Kind, job Job) (SavedJob, bool) {
	for _, k := range r.ListSaved(kind) {
		if r.SameJob(k.Job, job) && k.Job.Root == job.Root {
			return k, true
		}
	}
	return SavedJob{}, false
}

// LoadSaved is FindSaved with the definition, which it reads from disk and verifies.
func (r *Registry) LoadSaved(kind Kind, job Job) (k SavedJob, ok bool, err error) {
	for {
		if k, ok = r.FindSaved(kind, job); !ok {
			return k, false, nil
		}
		loaded, err := r.loadFile(k.ID, filepath.Join(r.folderOf(kind), k.ID+fileSuffix))
		switch {
		case errors.Is(err, fs.ErrNotExist): // a newer one may have replaced it since
			if err := r.Drop(k.ID); err != nil {
				return SavedJob{}, false, err
			}
		case err == nil && (loaded.Kind != kind || loaded.Job != k.Job):
			return SavedJob{}, false, errForged
		default:
			return loaded, err == nil, err
		}
	}
}

// DropSaved removes what is saved of a job and a kind.
func (r *Registry) DropSaved(kind Kind, job Job) error {
	for {
		k, ok := r.FindSaved(kind, job)
		if !ok {
			return nil
		}
		if err := r.Drop(k.ID); err != nil {
			return err
		}
	}
}
