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

	"nomadctld/backends"
)

// Kind is the purpose of a saved definition. The zero Kind means that an operation will restore the job.
type Kind string

const (
	Stopped  Kind = "stopped"  // a stopped job, for start
	Released Kind = "released" // the last release before the current one, for revert
)

// Retention is the time after which definitions saved by Save expire.
const Retention = 30 * 24 * time.Hour

// folderOf returns the folder for the definitions of a kind. The definitions for operations have a folder of their own,
// because a file that stays there needs the operator's attention.
func (r *Registry) folderOf(kind Kind) string {
	if kind == "" {
		return r.folder
	}
	return filepath.Clean(r.folder) + "-saved"
}

// maxSavedBytes is the maximum total size on disk of the definitions saved by Save.
const maxSavedBytes = 256 << 20

func (s SavedDefinition) expired() bool { return s.Kind != "" && time.Since(s.Time) > Retention }

// Save saves a job's definition to disk and replaces an earlier one of the same kind. createIndex is that of the
// current job; the definition's may be older. Save returns the ID of the saved definition. If it returns no error, the
// definition survives a power loss. It rejects child jobs, because users may create any number of them. If the total
// size exceeds the limit, it removes the oldest definitions.
func (r *Registry) Save(
	kind Kind, job backends.JobRef, user, command string, definition json.RawMessage, version, createIndex uint64,
) (id string, err error) {
	r.saving.Lock()
	defer r.saving.Unlock()
	if job.ID != job.Root {
		return "", fmt.Errorf("definitions of child jobs are not saved: %s is a child of %s", job.ID, job.Root)
	}
	s := SavedDefinition{
		ID: newID(), Job: job, User: user, Command: command, Time: time.Now().UTC(), Version: version, Definition: definition,
		Kind: kind, CreateIndex: createIndex,
	}
	if err := r.persist(s); err != nil {
		return "", err
	}
	if err := r.evictOld(s); err != nil {
		return "", errors.Join(fmt.Errorf("an earlier definition cannot be removed: %w", err), r.DeleteByID(s.ID))
	}
	return s.ID, nil
}

// evictOld removes the definitions that newest replaces, expired definitions, and the oldest definitions if the total
// size exceeds the limit. It returns an error only if a replaced definition cannot be removed. Other definitions that
// cannot be removed stay until the next call.
func (r *Registry) evictOld(newest SavedDefinition) error {
	r.mu.Lock()
	var old, others []SavedDefinition
	total := 0
	for _, s := range r.saved {
		switch {
		case s.Kind == "":
		case s.ID != newest.ID && (s.expired() || s.Kind == newest.Kind && r.SameJob(s.Job, newest.Job)):
			old = append(old, s)
		default:
			total += s.fileSize
			if s.ID != newest.ID {
				others = append(others, s)
			}
		}
	}
	r.mu.Unlock()
	for _, s := range old {
		if err := r.DeleteByID(s.ID); err != nil && s.Kind == newest.Kind && r.SameJob(s.Job, newest.Job) {
			return err
		}
	}
	slices.SortFunc(others, func(a, b SavedDefinition) int { return a.Time.Compare(b.Time) })
	for _, s := range others {
		if total <= r.maxSavedBytes {
			break
		}
		if r.DeleteByID(s.ID) != nil {
			continue
		}
		total -= s.fileSize
		if r.OnEvict != nil {
			r.OnEvict(s)
		}
	}
	return nil
}

// ListSaved returns the saved definitions of a kind (Stopped or Released), newest first, with a nil Definition.
func (r *Registry) ListSaved(kind Kind) []SavedDefinition {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []SavedDefinition
	for _, s := range r.saved {
		if s.Kind == kind && !s.expired() {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b SavedDefinition) int {
		return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.ID, b.ID))
	})
	return all
}

// FindSaved returns the saved definition of a job and a kind, with a nil Definition.
func (r *Registry) FindSaved(kind Kind, job backends.JobRef) (SavedDefinition, bool) {
	for _, s := range r.ListSaved(kind) {
		if r.SameJob(s.Job, job) && s.Job.Root == job.Root {
			return s, true
		}
	}
	return SavedDefinition{}, false
}

// LoadSaved is like FindSaved, but reads the definition from disk and verifies it.
func (r *Registry) LoadSaved(kind Kind, job backends.JobRef) (s SavedDefinition, ok bool, err error) {
	for {
		if s, ok = r.FindSaved(kind, job); !ok {
			return s, false, nil
		}
		loaded, _, _, err := loadFile(s.ID, filepath.Join(r.folderOf(kind), s.ID+fileSuffix), r.currentKeys())
		switch {
		case errors.Is(err, fs.ErrNotExist): // a newer definition may have replaced it
			if err := r.DeleteByID(s.ID); err != nil {
				return SavedDefinition{}, false, err
			}
		case err == nil && (loaded.Kind != kind || loaded.Job != s.Job):
			return SavedDefinition{}, false, errWrongRecord
		default:
			return loaded, err == nil, err
		}
	}
}

// DeleteSaved removes the saved definition of a job and a kind.
func (r *Registry) DeleteSaved(kind Kind, job backends.JobRef) error {
	for {
		s, ok := r.FindSaved(kind, job)
		if !ok {
			return nil
		}
		if err := r.DeleteByID(s.ID); err != nil {
			return err
		}
	}
}
