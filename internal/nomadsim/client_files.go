package nomadsim

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"

	"nomadctld/internal/nomadsim/jobspec"
)

// fileHandler returns a handler for requests for files of an allocation.
func fileHandler(lookup func(d *allocDir, v url.Values) (any, error)) handler {
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
		if !c.store.acquire() {
			panic(http.ErrAbortHandler)
		}
		defer c.store.release()
		a, n, err := c.reachableAllocation(r, id, "read-fs")
		if err != nil {
			refuse(w, err)
			return
		}
		if n.spec.Hangs {
			c.hang(r)
		}
		c.delay(r, n.spec.Slow)
		d, err := c.agents.dir(a)
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

// contentHandler returns a handler for the content of a file. Nomad sends the status 200 before it opens the file, so
// an error is only visible in the body.
func contentHandler(lookup func(d *allocDir, v url.Values) (any, error)) handler {
	handle := fileHandler(lookup)
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) { handle(c, alwaysOK{w}, r, id) }
}

type alwaysOK struct{ http.ResponseWriter }

func (w alwaysOK) WriteHeader(int) { w.ResponseWriter.WriteHeader(http.StatusOK) }
