package ops

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nomadctld/backends"
)

// SavedJob is the definition of a job that an operation has stopped and is to bring back.
type SavedJob struct {
	ID         string          `json:"id"` // of the operation
	Job        Job             `json:"job"`
	User       string          `json:"user"`
	Command    string          `json:"command"`
	Time       time.Time       `json:"time"`
	Version    uint64          `json:"version"`    // of the job, that the definition is of
	Definition json.RawMessage `json:"definition"` // as Nomad gave it

	Kind        Kind   `json:"kind,omitempty"` // see Save; empty: of an operation
	CreateIndex uint64 `json:"of,omitempty"`   // see Save

	fileSize    int    // of the file
	modifyIndex uint64 // JobModifyIndex of the definition
}

// IsOutdated reports whether a job that Nomad lists with this JobModifyIndex was changed after the definition was read.
func (k SavedJob) IsOutdated(index uint64) bool { return index > k.modifyIndex }

// ErrNoFolder is a registry that cannot keep anything.
var ErrNoFolder = errors.New("there is no folder to keep a job's definition in")

const (
	fileSuffix = ".json"
	tempPrefix = ".new-" // begins the name of a file that is being written
)

// Open returns a registry that keeps definitions in a folder, and what it finds there: what the last gateway could not
// finish. A definition is signed with the first key, and accepted when any of the keys has signed it (see NewKey). A file
// that is not accepted is an error among problems, is not restorable, and stays. A saved definition that has expired is
// removed. Nothing can be kept without a folder, or in a folder that another user owns or may write.
func Open(folder string, keys ...Key) (r *Registry, problems []error) {
	r = &Registry{folder: folder, keys: keys, maxSavedBytes: maxSavedBytes, saved: map[string]SavedJob{}}
	if folder == "" {
		return r, nil
	}
	return r, append(r.loadFolder(""), r.loadFolder(Stopped)...)
}

// loadFolder reads the definitions in the folder of a kind.
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
		return []error{fmt.Errorf("kept jobs: %w", err)}
	}
	for _, file := range files {
		id, ok := strings.CutSuffix(file.Name(), fileSuffix)
		if !ok {
			if strings.HasPrefix(file.Name(), tempPrefix) {
				os.Remove(filepath.Join(folder, file.Name())) // the gateway ended while it wrote
			}
			continue
		}
		path := filepath.Join(folder, id+fileSuffix)
		k, err := r.loadFile(id, path)
		if err == nil && r.folderOf(k.Kind) != folder {
			err = errors.New("it is in the wrong folder")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("kept job %q: %w", path, err))
			continue
		}
		r.add(k)
		if k.expired() {
			if err := r.Drop(id); err != nil {
				problems = append(problems, fmt.Errorf("kept job %q has expired and cannot be removed: %w", path, err))
			}
		}
	}
	return problems
}

// loadFile reads the definition that an operation has kept. Nothing of a file is believed before its signature is checked,
// and whose job it is follows from the definition alone.
func (r *Registry) loadFile(id, path string) (k SavedJob, err error) {
	content, err := readFile(path)
	if err != nil {
		return k, err
	}
	record, by, err := verify(content, r.keys)
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(record, &k); err != nil {
		return k, err
	}
	if k.ID != id {
		return k, fmt.Errorf("the file is the record of operation %q, not of the one in its name", k.ID)
	}
	if k.modifyIndex, err = checkDefinition(k.Job, k.Definition); err != nil {
		return k, err
	}
	k.fileSize = len(content)
	if by > 0 { // so that the key can be removed from the configuration
		if err := writeFile(path, sign(record, r.keys[0])); err != nil {
			return k, err
		}
	}
	return k, nil
}

// add puts what is on disk into r.kept.
func (r *Registry) add(k SavedJob) {
	if k.Kind != "" {
		k.Definition = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved[k.ID] = k
}

// checkDefinition returns the JobModifyIndex of a definition, or an error if it is not that of a job, or of one with another owner.
func checkDefinition(job Job, definition json.RawMessage) (index uint64, err error) {
	var is struct {
		ID, ParentID, Namespace string
		JobModifyIndex          uint64
	}
	if err := json.Unmarshal(definition, &is); err != nil {
		return 0, fmt.Errorf("the definition cannot be read: %w", err)
	}
	switch root := backends.RootID(is.ID, is.ParentID); {
	case is.ID == "" || is.ID != job.ID:
		return 0, fmt.Errorf("the definition is for job %q, not %q", is.ID, job.ID)
	case is.Namespace != job.Namespace:
		return 0, fmt.Errorf("the definition of %q is for namespace %q, not %q", job.ID, is.Namespace, job.Namespace)
	case root != job.Root:
		return 0, fmt.Errorf("the definition of %q belongs to job %q, not %q", job.ID, root, job.Root)
	}
	return is.JobModifyIndex, nil
}

// SaveForRestore writes the definition of an operation's job down. When it returns nil, a loss of power does not lose it either, and
// the gateway that starts then accepts it.
func (r *Registry) SaveForRestore(o *Op, definition json.RawMessage, version uint64) error {
	return r.persist(SavedJob{ID: o.ID, Job: o.Job, User: o.User, Command: o.Command, Time: o.Started.UTC(), Version: version, Definition: definition})
}

func (r *Registry) persist(k SavedJob) error {
	if r.folder == "" {
		return ErrNoFolder
	}
	if len(r.keys) == 0 {
		return errors.New("there is no key to sign the definition with")
	}
	index, err := checkDefinition(k.Job, k.Definition)
	if err != nil {
		return err
	}
	record, err := json.Marshal(k)
	if err != nil {
		return err
	}
	content := sign(record, r.keys[0])
	if len(content) > maxFile {
		return fmt.Errorf("the definition is larger than %d MiB", maxFile>>20)
	}
	folder := r.folderOf(k.Kind)
	if err := ensureFolder(folder); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(folder, k.ID+fileSuffix), content); err != nil {
		return err
	}
	k.fileSize, k.modifyIndex = len(content), index
	r.add(k)
	return nil
}

// ensureFolder makes the folder, so that it is there after a loss of power too, or checks the one that is there.
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

// Path returns the file in which the definition of an operation's job is, if it is.
func (r *Registry) Path(id string) string { return filepath.Join(r.folder, id+fileSuffix) }

// writeFile makes a file that is there as a whole or not at all, for its owner alone.
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

// Drop removes a kept definition; one that is not there is none.
func (r *Registry) Drop(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.saved[id]
	if !ok {
		return nil
	}
	folder := r.folderOf(k.Kind)
	if err := os.Remove(filepath.Join(folder, id+fileSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(r.saved, id)
	return syncFolder(folder)
}
