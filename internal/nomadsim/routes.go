package nomadsim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
	"nomadctld/internal/nomadsim/wire"
)

// handler handles a request. id is the value of {id} in its route.
type handler func(c *Cluster, w http.ResponseWriter, r *http.Request, id string)

// route is one endpoint.
type route struct {
	method, pattern string
	handle          handler
}

// routes contains all endpoints. PUT includes POST. The first match wins, so that the suffix after a job ID is not
// parsed as part of the ID. Failures and traffic counts refer to endpoints by these patterns.
var routes = []route{
	{"GET", "/v1/jobs", read(listJobs)},
	{"PUT", "/v1/jobs", write(registerJob)},
	{"GET", "/v1/job/{id...}/allocations", read(forJob(store.TableAllocations, jobAllocations))},
	{"GET", "/v1/job/{id...}/evaluations", read(forJob(store.TableEvaluations, jobEvaluations))},
	{"GET", "/v1/job/{id...}/summary", read(forJob(store.TableSummaries, jobSummary))},
	{"GET", "/v1/job/{id...}/versions", read(forJob(store.TableJobs, jobVersions))},
	{"GET", "/v1/job/{id...}/deployments", read(forJob(store.TableDeployments, jobDeployments))},
	{"GET", "/v1/job/{id...}/deployment", read(forJob(store.TableDeployments, jobDeployment))},
	{"GET", "/v1/job/{id...}/scale", read(scaleStatus)},
	{"PUT", "/v1/job/{id...}/scale", write(scaleJob)},
	{"GET", "/v1/job/{id...}/submission", read(forJob(store.TableJobs, jobSubmission))},
	{"PUT", "/v1/job/{id...}/revert", write(revertJob)},
	{"PUT", "/v1/job/{id...}/evaluate", write(evaluateJob)},
	{"PUT", "/v1/job/{id...}/tag", write(tagVersion)},
	{"DELETE", "/v1/job/{id...}/tag", write(untagVersion)},
	{"PUT", "/v1/job/{id...}/periodic/force", write(forceJob)},
	{"PUT", "/v1/job/{id...}/dispatch", write(dispatchJob)},
	{"GET", "/v1/job/{id...}", read(forJob(store.TableJobs, getJob))},
	{"PUT", "/v1/job/{id...}", write(registerJob)},
	{"DELETE", "/v1/job/{id...}", write(deregisterJob)},
	{"GET", "/v1/allocations", read(listAllocations)},
	{"GET", "/v1/allocation/{id}", read(getAllocation)},
	{"PUT", "/v1/allocation/{id}/stop", write(stopAllocation)},
	{"PUT", "/v1/client/allocation/{id}/restart", clientHandler(restartAllocation)},
	{"PUT", "/v1/client/allocation/{id}/signal", clientHandler(signalAllocation)},
	{"GET", "/v1/client/allocation/{id}/stats", statsHandler},
	{"GET", "/v1/client/allocation/{id}/checks", checksHandler},
	{"GET", "/v1/client/allocation/{id}/exec", execHandler},
	{"GET", "/v1/client/fs/logs/{id}", logHandler},
	{"GET", "/v1/client/fs/ls/{id}", fileHandler(listFiles)},
	{"GET", "/v1/client/fs/stat/{id}", fileHandler(statFile)},
	{"GET", "/v1/client/fs/cat/{id}", contentHandler(catFile)},
	{"GET", "/v1/client/fs/readat/{id}", contentHandler(readFile)},
	{"GET", "/v1/deployments", read(listDeployments)},
	{"GET", "/v1/deployment/allocations/{id}", read(deploymentAllocations)},
	{"PUT", "/v1/deployment/promote/{id}", write(promoteDeployment)},
	{"PUT", "/v1/deployment/pause/{id}", write(pauseDeployment)},
	{"PUT", "/v1/deployment/fail/{id}", write(failDeployment)},
	{"GET", "/v1/deployment/{id}", read(getDeployment)},
	{"GET", "/v1/evaluations", read(listEvaluations)},
	{"GET", "/v1/evaluation/{id}", read(getEvaluation)},
	{"GET", "/v1/nodes", read(listNodes)},
	{"GET", "/v1/node/{id}", read(getNode)},
	{"GET", "/v1/namespaces", read(listNamespaces)},
	{"GET", "/v1/status/leader", read(leader)},
	{"GET", "/v1/acl/token/self", read(tokenSelf)},
	{"PUT", "/v1/system/gc", write(collectGarbage)},
}

// findRoute returns the route for a path and method or, if there is none, a route for the path with another method.
func findRoute(method, path string) (found route, id string) {
	for _, r := range routes {
		if s, fits := wire.Match(r.pattern, path); fits && found.method != method {
			if found.pattern == "" || (r.pattern == found.pattern && r.method == method) {
				found, id = r, s
			}
		}
	}
	return found, id
}

// ServeHTTP implements http.Handler. It responds like the HTTP API of a Nomad server.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

func (c *Cluster) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && !isPostToGC(r) {
		r = r.Clone(r.Context())
		r.Method = http.MethodPut // Nomad treats them the same everywhere else
	}
	found, id := findRoute(r.Method, r.URL.Path)
	changes := found.method == r.Method && r.Method != http.MethodGet
	wire.Serve(c.Controls, w, r, found.pattern, changes, func(w http.ResponseWriter) {
		switch {
		case found.pattern == "" && strings.HasPrefix(r.URL.Path, "/v1/allocation/"),
			found.pattern == "" && strings.HasPrefix(r.URL.Path, "/v1/client/allocation/"):
			refuse(w, jobspec.NotFound("resource not found"))
		case found.pattern == "":
			w.WriteHeader(http.StatusNotFound)
		case found.method != r.Method:
			refuse(w, jobspec.CodedError{Code: http.StatusMethodNotAllowed, Text: "Invalid method"})
		default:
			found.handle(c, w, r, id)
		}
	})
}

// lookupFunc returns the response to a query. It runs in a transaction, and must return only stored records or newly
// created values.
type lookupFunc func(c *Cluster, st *store.State, q *query) (any, error)

// read returns the handler of a query, which may block until the state changes.
func read(lookup lookupFunc) handler {
	return func(c *Cluster, w http.ResponseWriter, r *http.Request, id string) {
		q, err := parseQuery(r, id)
		if err != nil {
			refuse(w, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), q.wait)
		defer cancel()
		for {
			var body any
			var changed <-chan struct{}
			c.store.View(func(st *store.State) {
				if q.token, err = c.acl.authenticate(r); err == nil {
					body, err = lookup(c, st, q)
				}
				changed = st.Changes()
			})
			// As in Nomad, a "not found" response has an index and waits, too.
			if q.waitIndex > 0 && q.resultIndex > 0 && q.resultIndex <= q.waitIndex {
				select {
				case <-changed:
					continue
				case <-ctx.Done():
				case <-c.store.Context().Done():
					panic(http.ErrAbortHandler)
				}
			}
			q.setHeaders(w.Header())
			if err != nil {
				refuse(w, err)
				return
			}
			respond(w, r, body)
			return
		}
	}
}

func (q *query) setHeaders(h http.Header) {
	if q.resultIndex == 0 {
		return
	}
	h.Set("X-Nomad-Index", strconv.FormatUint(q.resultIndex, 10))
	h.Set("X-Nomad-KnownLeader", "true")
	h.Set("X-Nomad-LastContact", "0")
	if q.nextPage != "" {
		h.Set("X-Nomad-NextToken", q.nextPage)
	}
}

// refuse responds with an error. The status is that of the CodedError, or else 500, as in Nomad.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if f, ok := errors.AsType[jobspec.CodedError](err); ok {
		status = f.Code
	}
	wire.Refuse(w, status, err.Error())
}

// respond responds with JSON.
func respond(w http.ResponseWriter, r *http.Request, body any) {
	pretty := false
	if v, asked := r.URL.Query()["pretty"]; asked {
		pretty = v[0] != "0"
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if pretty {
		enc.SetIndent("", "    ")
	}
	if err := enc.Encode(body); err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if pretty {
		w.Write(buf.Bytes())
	} else {
		w.Write(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
	}
}
