package nomadsim

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
)

// contentHandler returns a handler for the content of a file. Nomad sends the status 200 before it opens the file, so
// an error is only visible in the body.
func contentHandler(lookup func(d *allocDir, v url.Values) (any, error)) handler {
	handle := fileHandler(lookup)
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) { handle(c, alwaysOK{w}, r, id) }
}

type alwaysOK struct{ http.ResponseWriter }

func (w alwaysOK) WriteHeader(int) { w.ResponseWriter.WriteHeader(http.StatusOK) }

func catFile(d *allocDir, v url.Values) (any, error) { return readContent(d, v.Get("path"), 0, 0) }

func readFile(d *allocDir, v url.Values) (any, error) {
	offset, err := strconv.ParseInt(v.Get("offset"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("error parsing offset: %v", err)
	}
	limit := int64(0)
	if s := v.Get("limit"); s != "" {
		if limit, err = strconv.ParseInt(s, 10, 64); err != nil {
			return nil, fmt.Errorf("error parsing limit: %v", err)
		}
	}
	return readContent(d, v.Get("path"), offset, limit)
}

func readContent(d *allocDir, name string, offset, limit int64) (any, error) {
	if name == "" {
		return nil, httpError{http.StatusBadRequest, "must provide a file name"}
	}
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
