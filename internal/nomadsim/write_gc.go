package nomadsim

import (
	"net/http"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// collectGarbage garbage-collects everything that is terminal, regardless of Nomad's thresholds.
func collectGarbage(c *Cluster, st *store.State, req *writeRequest) (any, error) {
	if !req.token.rights.Management {
		return nil, jobspec.ErrDenied
	}
	req.noIndex = true
	st.AfterStep(func(st *store.State) { st.Collect(nil) })
	return nil, nil
}

// isPostToGC reports whether r is a POST to the path for which Nomad accepts only PUT.
func isPostToGC(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/v1/system/gc"
}
