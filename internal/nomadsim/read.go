package nomadsim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// This file contains the handlers of queries. They run with the read lock held.

func listJobs(c *Cluster, q *query) (any, error) {
	meta, err := q.flag("meta", false)
	if err != nil {
		return nil, err
	}
	visible, err := c.visibleNamespaces(q, "list-jobs")
	if err != nil {
		return nil, err
	}
	rows := c.jobs
	if q.prefix != "" {
		rows = slices.DeleteFunc(slices.Clone(rows), func(j *job) bool { return !strings.HasPrefix(j.ID, q.prefix) })
	}
	out, err := page(q, rows, pagesByName, visible, func(j *job) jobStub { return j.stub(meta) })
	if err == nil {
		q.resultIndex = max(c.changedAt[tableJobs], c.changedAt[tableSummaries])
	}
	return out, err
}

func listAllocations(c *Cluster, q *query) (any, error) {
	resources, err := q.flag("resources", false)
	if err != nil {
		return nil, err
	}
	states, err := q.flag("task_states", true)
	if err != nil {
		return nil, err
	}
	return listByID(c, q, c.allocations, tableAllocations, "alloc lookup failed: ", func(a *allocation) allocationStub {
		return a.stub(states, resources)
	})
}

func listEvaluations(c *Cluster, q *query) (any, error) {
	rows := c.evaluations
	status, job := q.values.Get("status"), q.values.Get("job")
	if status != "" || job != "" {
		if q.filter != "" {
			return nil, httpError{400, "Filter expression cannot be used with other filter parameters"}
		}
		rows = slices.DeleteFunc(slices.Clone(rows), func(e *evaluation) bool {
			return (status != "" && e.Status != status) || (job != "" && e.JobID != job)
		})
	}
	return listByID(c, q, rows, tableEvaluations, "eval lookup failed: ", unchanged)
}

func listDeployments(c *Cluster, q *query) (any, error) {
	return listByID(c, q, c.deployments, tableDeployments, "", unchanged)
}

func unchanged[T any](row T) T { return row }

// listByID lists rows in the order of creation or, if an ID prefix is requested, in the order of IDs.
func listByID[T row, S any](c *Cluster, q *query, rows []T, t table, errPrefix string, stub func(T) S) (any, error) {
	visible, err := c.visibleNamespaces(q, "read-job")
	if err != nil {
		return nil, err
	}
	pages := pagesByCreation
	if q.prefix != "" {
		pages = pagesByID
		if rows, err = rowsWithIDPrefix(rows, q.prefix); err != nil {
			return nil, fmt.Errorf("%s%w", errPrefix, err)
		}
	}
	out, err := page(q, rows, pages, visible, stub)
	if err == nil {
		q.resultIndex = c.changedAt[t]
	}
	return out, err
}

func listNodes(c *Cluster, q *query) (any, error) {
	if r := q.token.rights; !r.Management && !r.NodeRead {
		return nil, errDenied
	}
	rows := c.nodes
	if q.prefix != "" {
		var err error
		if rows, err = rowsWithIDPrefix(rows, q.prefix); err != nil {
			return nil, fmt.Errorf("node lookup failed: %w", err)
		}
	}
	out, err := page(q, rows, pagesByID, func(string) bool { return true }, (*node).stub)
	if err == nil {
		q.resultIndex = c.changedAt[tableNodes]
	}
	return out, err
}

func listNamespaces(c *Cluster, q *query) (any, error) {
	out := []*namespace{}
	for _, n := range c.namespaces {
		if strings.HasPrefix(n.Name, q.prefix) && q.token.rights.allowsAny(n.Name) {
			out = append(out, n)
		}
	}
	q.resultIndex = c.changedAt[tableNamespaces]
	return out, nil
}

// leader returns the address of the server's RPC port. Nothing listens there.
func leader(*Cluster, *query) (any, error) { return "127.0.0.1:4647", nil }

var errJobNotFound = httpError{http.StatusNotFound, "job not found"}

// forJob returns a query handler for one job. The job is nil if it does not exist. The response has the index of the
// table, unless lookup sets another.
func forJob(t table, lookup func(q *query, j *job) (any, error)) func(*Cluster, *query) (any, error) {
	return func(c *Cluster, q *query) (any, error) {
		if !q.token.rights.allows(q.namespace, "read-job") {
			return nil, errDenied
		}
		q.resultIndex = c.changedAt[t]
		j := c.job(q.namespace, q.id)
		if j == nil {
			q.orphanSource = c // for the allocations and evaluations of a purged job
		}
		return lookup(q, j)
	}
}

func getJob(q *query, j *job) (any, error) {
	if j == nil {
		return nil, errJobNotFound
	}
	q.resultIndex = j.ModifyIndex
	return j.detail(), nil
}

func jobSummary(q *query, j *job) (any, error) {
	if j == nil {
		return nil, errJobNotFound
	}
	q.resultIndex = j.summary.ModifyIndex
	return j.summary, nil
}

// jobAllocations returns the allocations of a job. With the all parameter, or if the job was purged, it includes
// those of purged jobs with the same ID.
func jobAllocations(q *query, j *job) (any, error) {
	all, err := q.flag("all", false)
	if err != nil {
		return nil, err
	}
	rows := []*allocation(nil)
	if j != nil {
		rows = j.allocations
	} else {
		rows, _ = q.orphanSource.orphans(q.namespace, q.id)
	}
	out := []allocationStub{}
	for _, a := range rows {
		if all || j == nil || a.Job.CreateIndex == j.CreateIndex {
			out = append(out, a.stub(true, false))
		}
	}
	return out, nil
}

func jobEvaluations(q *query, j *job) (any, error) {
	rows := []*evaluation(nil)
	if j != nil {
		rows = j.evaluations
	} else {
		_, rows = q.orphanSource.orphans(q.namespace, q.id)
	}
	if rows == nil {
		return []*evaluation{}, nil
	}
	return rows, nil
}

func jobDeployments(_ *query, j *job) (any, error) {
	if j == nil || len(j.deployments()) == 0 {
		return []*deployment{}, nil
	}
	all := j.deployments()
	slices.SortFunc(all, func(a, b *deployment) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

func jobDeployment(_ *query, j *job) (any, error) {
	if j == nil || len(j.deployments()) == 0 {
		return nil, nil
	}
	return j.deployments()[0], nil
}

func getAllocation(c *Cluster, q *query) (any, error) {
	a, err := c.allocation(q.id)
	if err != nil {
		return nil, err
	}
	if a == nil {
		q.resultIndex = c.changedAt[tableAllocations]
		return nil, httpError{http.StatusNotFound, "alloc not found"}
	}
	if !q.token.rights.allows(a.Namespace, "read-job") {
		return nil, unknownAllocation(q.id) // Nomad returns 500 instead of 403 here
	}
	q.resultIndex = a.ModifyIndex
	return a.detail(), nil
}

func unknownAllocation(id string) error { return fmt.Errorf("Unknown allocation %q", id) }

// allocation returns an allocation by its full ID, or nil if there is none.
func (c *Cluster) allocation(id string) (*allocation, error) {
	if _, err := uuidDigits(id, true); err != nil {
		return nil, fmt.Errorf("alloc lookup failed: index error: %w", err)
	}
	return c.allocationByID[strings.ToLower(id)], nil
}
