package nomadsim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// writeRequest is a request that changes the state.
type writeRequest struct {
	id              string // the value of {id} in the route
	request         *http.Request
	values          url.Values
	namespace       string
	body            []byte
	token           *token
	mayRunProcesses bool // the token permits processes on this machine

	index       uint64 // of the response
	knownLeader string // X-Nomad-KnownLeader, which only a revert returns
	noIndex     bool   // the response has no index
}

// write returns the handler of a write request. apply runs in a transaction. It changes the state, schedules later
// changes with AfterStep, and returns the response.
func write(apply func(c *Cluster, st *store.State, req *writeRequest) (any, error)) handler {
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		v := r.URL.Query()
		req := &writeRequest{
			id: id, request: r, values: v, namespace: cmp.Or(v.Get("namespace"), "default"), body: body,
			mayRunProcesses: !c.acl.servedAnonymously(r),
		}
		var response any
		c.store.Update(func(st *store.State) {
			if req.token, err = c.acl.authenticate(r); err == nil {
				response, err = apply(c, st, req)
			}
		})
		if err != nil {
			refuse(w, err)
			return
		}
		if !req.noIndex {
			w.Header().Set("X-Nomad-Index", strconv.FormatUint(req.index, 10))
		}
		if req.knownLeader != "" {
			w.Header().Set("X-Nomad-KnownLeader", req.knownLeader)
			w.Header().Set("X-Nomad-LastContact", "0")
		}
		if response != nil {
			respond(w, r, response)
		}
	}
}

// decode decodes the body. Numbers keep their notation.
func (req *writeRequest) decode(into any) error {
	if len(req.body) == 0 {
		return jobspec.BadRequest("Request body is empty")
	}
	d := json.NewDecoder(bytes.NewReader(req.body))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return jobspec.BadRequest(err.Error())
	}
	return nil
}

// authorize returns an error if the token has none of the capabilities in a namespace.
func (req *writeRequest) authorize(namespace string, capabilities ...string) error {
	for _, c := range capabilities {
		if req.token.rights.allows(namespace, c) {
			return nil
		}
	}
	return jobspec.ErrDenied
}

// flag returns a boolean parameter, or false if it is missing.
func (req *writeRequest) flag(name string) (bool, error) {
	return (&query{values: req.values}).flag(name, false)
}
