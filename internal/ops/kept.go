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
)

// Kept is the definition of a job that an operation has stopped and is to bring back.
type Kept struct {
	ID         string          `json:"id"` // of the operation
	Job        Job             `json:"job"`
	User       string          `json:"user"`
	Command    string          `json:"command"`
	Time       time.Time       `json:"time"`
	Version    uint64          `json:"version"`    // of the job, that the definition is of
	Definition json.RawMessage `json:"definition"` // as Nomad gave it
}

// ErrNoFolder is a registry that cannot keep anything.
var ErrNoFolder = errors.New("there is no folder to keep a job's definition in")

const (
	suffix     = ".json"
	unfinished = ".new-" // begins the name of a file that is being written
)

// Open returns a registry that keeps definitions in a folder, and what it finds there: what the last gateway could not
// finish. A file that cannot be read is an error among problems, and stays. Without a folder nothing can be kept.
func Open(folder string) (r *Registry, problems []error) {
	r = &Registry{folder: folder, kept: map[string]Kept{}}
	if folder == "" {
		return r, nil
	}
	files, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, []error{fmt.Errorf("kept jobs: %w", err)}
	}
	for _, file := range files {
		id, ok := strings.CutSuffix(file.Name(), suffix)
		if !ok {
			if strings.HasPrefix(file.Name(), unfinished) {
				os.Remove(filepath.Join(folder, file.Name())) // the gateway ended while it wrote
			}
			continue
		}
		var k Kept
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err == nil {
			err = json.Unmarshal(text, &k)
		}
		if err == nil && (k.ID != id || k.Job.ID == "") {
			err = errors.New("it is no kept job")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("kept job %s: %w", filepath.Join(folder, file.Name()), err))
			continue
		}
		r.kept[id] = k
	}
	return r, problems
}

// Keep writes the definition of an operation's job down. When it returns nil, a loss of power does not lose it either.
func (r *Registry) Keep(o *Op, definition json.RawMessage, version uint64) error {
	if r.folder == "" {
		return ErrNoFolder
	}
	k := Kept{o.ID, o.Job, o.User, o.Command, o.Began.UTC(), version, definition}
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := r.makeFolder(); err != nil {
		return err
	}
	if err := write(r.Path(o.ID), append(text, '\n')); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept[o.ID] = k
	return nil
}

// makeFolder makes the folder, so that it is there after a loss of power too.
func (r *Registry) makeFolder() error {
	if _, err := os.Stat(r.folder); err == nil {
		return nil
	}
	if err := os.MkdirAll(r.folder, 0o700); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(r.folder))
}

// Path returns the file in which the definition of an operation's job is, if it is.
func (r *Registry) Path(id string) string { return filepath.Join(r.folder, id+suffix) }

// write makes a file that is there as a whole or not at all, for its owner alone.
func write(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), unfinished+"*")
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
	if _, ok := r.kept[id]; !ok {
		return nil
	}
	if err := os.Remove(r.Path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(r.kept, id)
	return syncFolder(r.folder)
}
