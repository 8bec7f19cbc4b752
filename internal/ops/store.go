package ops

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nomadctld/backends"
)

// SavedDefinition is a saved job definition. The JSON names are the format of the files.
type SavedDefinition struct {
	ID         string          `json:"id"` // of the operation, or of the saved definition
	Job        backends.JobRef `json:"job"`
	User       string          `json:"user"`
	Command    string          `json:"command"`
	Time       time.Time       `json:"time"`
	Version    uint64          `json:"version"`    // the version of the job
	Definition json.RawMessage `json:"definition"` // as received from Nomad

	Kind        Kind   `json:"kind,omitempty"` // see Save; empty: saved by an operation
	CreateIndex uint64 `json:"of,omitempty"`   // see Save

	fileSize    int
	modifyIndex uint64 // JobModifyIndex of the definition
}

// IsOutdated reports whether a job that Nomad lists with this JobModifyIndex was changed after the definition was read.
func (s SavedDefinition) IsOutdated(index uint64) bool { return index > s.modifyIndex }

// ErrNoFolder is returned if the registry has no folder to save definitions.
var ErrNoFolder = errors.New("the gateway has no directory for job definitions")

const (
	fileSuffix = ".json"
	tempPrefix = ".new-" // name prefix of files that are being written
)

// Open returns a registry that saves definitions in a folder, and loads the definitions that earlier gateways saved
// there. Definitions are signed with the first key, and accepted if any of the keys has signed them (see NewKey). A
// file that is not accepted is reported in problems and stays, but cannot be restored. Expired definitions are
// removed. The folder must belong to the gateway's user, and no other user may write to it. Without a folder nothing
// can be saved.
func Open(folder string, keys ...Key) (r *Registry, problems []error) {
	r = &Registry{folder: folder, keys: keys, maxSavedBytes: maxSavedBytes, saved: map[string]SavedDefinition{}}
	if folder == "" {
		return r, nil
	}
	return r, append(r.loadFolder(""), r.loadFolder(Stopped)...)
}

// loadFolder loads the definitions in the folder of a kind.
func (r *Registry) loadFolder(kind Kind) (problems []error) {
	folder := r.folderOf(kind)
	err := checkFolder(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var files []fs.DirEntry
	if err == nil {
		files, err = os.ReadDir(folder)
	}
	if err != nil {
		return []error{fmt.Errorf("saved definitions: %w", err)}
	}
	for _, file := range files {
		id, ok := strings.CutSuffix(file.Name(), fileSuffix)
		if !ok {
			if strings.HasPrefix(file.Name(), tempPrefix) {
				os.Remove(filepath.Join(folder, file.Name())) // the gateway exited while it wrote the file
			}
			continue
		}
		path := filepath.Join(folder, id+fileSuffix)
		s, record, by, err := loadFile(id, path, r.keys)
		if err == nil && r.folderOf(s.Kind) != folder {
			err = errors.New("the file is in the wrong directory")
		}
		if err == nil && by > 0 {
			err = writeFile(path, sign(record, r.keys[0]))
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("saved definition %q: %w", path, err))
			continue
		}
		r.add(s)
		if s.expired() {
			if err := r.DeleteByID(id); err != nil {
				problems = append(problems, fmt.Errorf("saved definition %q has expired and cannot be removed: %w", path, err))
			}
		}
	}
	return problems
}

// loadFile loads and verifies a saved definition. It uses nothing from the file before the signature is verified, and
// rejects a record whose job is not that of the definition. It also returns the record and the index of the key that
// has signed it.
func loadFile(id, path string, keys []Key) (s SavedDefinition, record []byte, by int, err error) {
	content, err := readFile(path)
	if err != nil {
		return s, nil, 0, err
	}
	record, by, err = verify(content, keys)
	if err != nil {
		return s, nil, 0, err
	}
	if err := json.Unmarshal(record, &s); err != nil {
		return s, nil, 0, err
	}
	if s.ID != id {
		return s, nil, 0, fmt.Errorf("the file holds the ID %q, not the ID in its name", s.ID)
	}
	if s.modifyIndex, err = checkDefinition(s.Job, s.Definition); err != nil {
		return s, nil, 0, err
	}
	s.fileSize = len(content)
	return s, record, by, nil
}

// SetKeys replaces the keys. Files that were signed with a key other than the first are signed again, so that the other
// key can be removed from the configuration. A file that none of the keys has signed is reported, and stays.
func (r *Registry) SetKeys(keys ...Key) (problems []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(r.keys, keys) {
		return nil
	}
	r.keys = keys
	for id, saved := range r.saved {
		path := filepath.Join(r.folderOf(saved.Kind), id+fileSuffix)
		_, record, by, err := loadFile(id, path, keys)
		if err == nil && by > 0 {
			err = writeFile(path, sign(record, keys[0]))
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("saved definition %q: %w", path, err))
		}
	}
	return problems
}

// currentKeys returns the keys.
func (r *Registry) currentKeys() []Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys
}

// add adds a definition that is on disk to r.saved.
func (r *Registry) add(s SavedDefinition) {
	if s.Kind != "" {
		s.Definition = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved[s.ID] = s
}

// checkDefinition returns the JobModifyIndex of a definition. It returns an error if the definition is not that of
// job, or belongs to another owner.
func checkDefinition(job backends.JobRef, definition json.RawMessage) (index uint64, err error) {
	var fields struct {
		ID, ParentID, Namespace string
		JobModifyIndex          uint64
	}
	if err := json.Unmarshal(definition, &fields); err != nil {
		return 0, fmt.Errorf("the definition cannot be read: %w", err)
	}
	switch root := backends.RootID(fields.ID, fields.ParentID); {
	case fields.ID == "" || fields.ID != job.ID:
		return 0, fmt.Errorf("the definition is for job %q, not %q", fields.ID, job.ID)
	case fields.Namespace != job.Namespace:
		return 0, fmt.Errorf("the definition of %q is for namespace %q, not %q", job.ID, fields.Namespace, job.Namespace)
	case root != job.Root:
		return 0, fmt.Errorf("the definition of %q belongs to job %q, not %q", job.ID, root, job.Root)
	}
	return fields.JobModifyIndex, nil
}

func (r *Registry) persist(s SavedDefinition) error {
	if r.folder == "" {
		return ErrNoFolder
	}
	keys := r.currentKeys()
	if len(keys) == 0 {
		return errors.New("no key to sign the definition is configured")
	}
	index, err := checkDefinition(s.Job, s.Definition)
	if err != nil {
		return err
	}
	record, err := json.Marshal(s)
	if err != nil {
		return err
	}
	content := sign(record, keys[0])
	if len(content) > maxFileSize {
		return fmt.Errorf("the definition is larger than %d MiB", maxFileSize>>20)
	}
	folder := r.folderOf(s.Kind)
	if err := ensureFolder(folder); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(folder, s.ID+fileSuffix), content); err != nil {
		return err
	}
	s.fileSize, s.modifyIndex = len(content), index
	r.add(s)
	return nil
}

// ensureFolder checks an existing folder, or creates it so that it survives a power loss.
func ensureFolder(folder string) error {
	err := checkFolder(folder)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return errors.Join(checkFolder(folder), syncFolder(filepath.Dir(folder)))
}

// writeFile atomically writes a file that only its owner can read.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// DeleteByID removes a saved definition. It does nothing if there is none with this ID.
func (r *Registry) DeleteByID(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.saved[id]
	if !ok {
		return nil
	}
	folder := r.folderOf(s.Kind)
	if err := os.Remove(filepath.Join(folder, id+fileSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(r.saved, id)
	return syncFolder(folder)
}
