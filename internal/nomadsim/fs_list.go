package nomadsim

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fileInfo describes a file of an allocation.
type fileInfo struct {
	ContentType string `json:",omitempty"`
	FileMode    string
	IsDir       bool
	ModTime     time.Time
	Name        string
	Size        int64
}

func newFileInfo(i fs.FileInfo) fileInfo {
	return fileInfo{
		FileMode: i.Mode().String(), IsDir: i.IsDir(), ModTime: i.ModTime().UTC(), Name: i.Name(), Size: i.Size(),
	}
}

// fileHandler returns a handler for requests for files of an allocation.
func fileHandler(lookup func(d *allocDir, v url.Values) (any, error)) handler {
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
		if !c.host.acquire() {
			panic(http.ErrAbortHandler)
		}
		defer c.host.release()
		a, n, err := c.reachableAllocation(r, id, "read-fs")
		if err != nil {
			refuse(w, err)
			return
		}
		if n.spec.Hangs {
			c.hang(r)
		}
		c.delay(r, n.spec.Slow)
		d, err := c.host.dir(a)
		var body any
		if err == nil {
			body, err = lookup(d, r.URL.Query())
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = httpError{http.StatusNotFound, err.Error()}
		}
		switch content, isContent := body.([]byte); {
		case err != nil:
			refuse(w, err)
		case isContent:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Write(content)
		default:
			respond(w, r, body)
		}
	}
}

// resolve returns the path of a file in the allocation's directory. Links that leave the directory are refused.
func (d *allocDir) resolve(name string) (string, error) {
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

func listFiles(d *allocDir, v url.Values) (any, error) {
	path, err := d.resolve(v.Get("path"))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	all := []fileInfo{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			all = append(all, newFileInfo(info))
		}
	}
	return all, nil
}

func statFile(d *allocDir, v url.Values) (any, error) {
	if v.Get("path") == "" {
		return nil, httpError{http.StatusBadRequest, "must provide a file name"}
	}
	path, err := d.resolve(v.Get("path"))
	if err != nil {
		return nil, err
	}
	i, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	info := newFileInfo(i)
	info.ContentType = "application/octet-stream"
	if f, err := os.Open(path); err == nil && !info.IsDir {
		defer f.Close()
		buf := make([]byte, 512)
		if n, err := f.Read(buf); err == nil {
			info.ContentType = http.DetectContentType(buf[:n])
		}
	}
	return info, nil
}
