package nomadsim

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// query is a read request, with the data for the headers of its response.
type query struct {
	id                string // the value of {id} in the route
	values            url.Values
	namespace, prefix string
	page              store.PageRequest
	waitIndex         uint64 // respond when the data has changed after this index
	wait              time.Duration
	token             *token
	orphanSource      *store.State // set if the job does not exist: may have allocations and evaluations of a purged job

	resultIndex uint64 // index of the response; 0: no headers about the cluster
	nextPage    string // token of the next page
}

// maxWait is Nomad's maximum wait time of a blocking query.
const maxWait = 5 * time.Minute

func parseQuery(r *http.Request, id string) (*query, error) {
	v := r.URL.Query()
	q := &query{
		id: id, values: v, namespace: cmp.Or(v.Get("namespace"), "default"), prefix: v.Get("prefix"), wait: maxWait,
	}
	q.page = store.PageRequest{
		Namespace: q.namespace, Filter: v.Get("filter"), NextToken: v.Get("next_token"), Reverse: v.Get("reverse") == "true",
	}
	if s := v.Get("stale"); s != "" {
		if _, err := strconv.ParseBool(s); err != nil {
			return nil, jobspec.BadRequest("Expect `true` or `false` for `stale` query string parameter")
		}
	}
	if s := v.Get("per_page"); s != "" {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return nil, jobspec.BadRequest("Expect a number for `per_page` query string parameter")
		}
		q.page.PerPage = int(n)
	}
	if s := v.Get("wait"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			return nil, jobspec.BadRequest("Invalid wait time")
		}
		if d > 0 {
			q.wait = min(d, maxWait)
		}
	}
	if s := v.Get("index"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return nil, jobspec.BadRequest("Invalid index")
		}
		q.waitIndex = n
	}
	return q, nil
}

// flag returns a boolean parameter, or fallback if it is missing.
func (q *query) flag(name string, fallback bool) (bool, error) {
	s := q.values.Get(name)
	if s == "" {
		return fallback, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("Failed to parse value of %q (%s) as a bool: %w", name, s, err)
	}
	return b, nil
}
