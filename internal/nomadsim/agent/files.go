package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// FileInfo describes a file of an allocation.
type FileInfo struct {
	ContentType string `json:",omitempty"`
	FileMode    string
	IsDir       bool
	ModTime     time.Time
	Name        string
	Size        int64
}

func newFileInfo(i fs.FileInfo) FileInfo {
	return FileInfo{
		FileMode: i.Mode().String(), IsDir: i.IsDir(), ModTime: i.ModTime().UTC(), Name: i.Name(), Size: i.Size(),
	}
}

// resolve returns the path of a file in the allocation's directory. Links that leave the directory are refused.
func (d *AllocDir) resolve(name string) (string, error) {
	path := filepath.Join(d.path, name)
	home, err := filepath.EvalSymlinks(d.path)
	if err != nil {
		return "", err
	}
	within := func(path, dir string) bool {
		return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
	}
	if to, err := filepath.EvalSymlinks(path); !within(path, d.path) || (err == nil && !within(to, home)) {
		return "", errors.New("Path escapes the alloc directory")
	}
	return path, nil
}

// List returns the files of a directory.
func (d *AllocDir) List(name string) (any, error) {
	path, err := d.resolve(name)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	all := []FileInfo{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			all = append(all, newFileInfo(info))
		}
	}
	return all, nil
}

// Stat returns a file, and the start of its content.
func (d *AllocDir) Stat(name string) (info FileInfo, head []byte, err error) {
	path, err := d.resolve(name)
	if err != nil {
		return info, nil, err
	}
	i, err := os.Stat(path)
	if err != nil {
		return info, nil, err
	}
	if info = newFileInfo(i); info.IsDir {
		return info, nil, nil
	}
	if f, err := os.Open(path); err == nil {
		defer f.Close()
		head = make([]byte, 512)
		n, _ := f.Read(head)
		head = head[:n]
	}
	return info, head, nil
}

// Read returns the content of a file from an offset, up to a limit. Without a limit, it returns all of it.
func (d *AllocDir) Read(name string, offset, limit int64) ([]byte, error) {
	path, err := d.resolve(name)
	if err != nil {
		return nil, err
	}
	i, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if i.IsDir() {
		return nil, fmt.Errorf("file %q is a directory", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	if limit > 0 {
		return io.ReadAll(io.LimitReader(f, limit))
	}
	return io.ReadAll(f)
}
