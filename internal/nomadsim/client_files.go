package nomadsim

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"

	"nomadctld/internal/nomadsim/agent"
	"nomadctld/internal/nomadsim/jobspec"
)

// fileHandler returns a handler for requests for files of an allocation.
func fileHandler(lookup func(d *agent.AllocDir, v url.Values) (any, error)) handler {
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
		if !c.store.Acquire() {
			panic(http.ErrAbortHandler)
		}
		defer c.store.Release()
		a, err := c.askClient(r, id, "read-fs")
		if err != nil {
			refuse(w, err)
			return
		}
		d, err := c.agents.Dir(a)
		var body any
		if err == nil {
			body, err = lookup(d, r.URL.Query())
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = jobspec.NotFound(err.Error())
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

func listFiles(d *agent.AllocDir, v url.Values) (any, error) { return d.List(v.Get("path")) }

func statFile(d *agent.AllocDir, v url.Values) (any, error) {
	if v.Get("path") == "" {
		return nil, errNoFileName
	}
	info, head, err := d.Stat(v.Get("path"))
	if err != nil {
		return nil, err
	}
	if info.ContentType = "application/octet-stream"; len(head) > 0 {
		info.ContentType = http.DetectContentType(head)
	}
	return info, nil
}

var errNoFileName = jobspec.BadRequest("must provide a file name")

// contentHandler returns a handler for the content of a file. Nomad sends the status 200 before it opens the file, so
// an error is only visible in the body.
func contentHandler(lookup func(d *agent.AllocDir, v url.Values) (any, error)) handler {
	handle := fileHandler(lookup)
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) { handle(c, alwaysOK{w}, r, id) }
}

type alwaysOK struct{ http.ResponseWriter }

func (w alwaysOK) WriteHeader(int) { w.ResponseWriter.WriteHeader(http.StatusOK) }

func catFile(d *agent.AllocDir, v url.Values) (any, error) {
	return readContent(d, v.Get("path"), 0, 0)
}

func readFile(d *agent.AllocDir, v url.Values) (any, error) {
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

func readContent(d *agent.AllocDir, name string, offset, limit int64) (any, error) {
	if name == "" {
		return nil, errNoFileName
	}
	return d.Read(name, offset, limit)
}
