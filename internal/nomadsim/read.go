package nomadsim

import (
	"fmt"
	"slices"
	"strings"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// This file contains the handlers of queries. They run with the read lock held.

func listJobs(c *Cluster, st *store.State, q *query) (any, error) {
	meta, err := q.flag("meta", false)
	if err != nil {
		return nil, err
	}
	visible, err := visibleNamespaces(st, q, "list-jobs")
	if err != nil {
		return nil, err
	}
	rows := st.Jobs
	if q.prefix != "" {
		rows = slices.DeleteFunc(slices.Clone(rows), func(j *store.Job) bool { return !strings.HasPrefix(j.ID, q.prefix) })
	}
	out, next,
		err := store.Page(q.page, rows, store.PagesByName, visible, func(j *store.Job) store.JobStub { return j.Stub(meta) })
	if err == nil {
		q.nextPage, q.resultIndex = next, max(st.LastChange(store.TableJobs), st.LastChange(store.TableSummaries))
	}
	return out, err
}

func listAllocations(c *Cluster, st *store.State, q *query) (any, error) {
	resources, err := q.flag("resources", false)
	if err != nil {
		return nil, err
	}
	states, err := q.flag("task_states", true)
	if err != nil {
		return nil, err
	}
	return listByID(st, q, st.Allocations, store.TableAllocations, "alloc lookup failed: ",
		func(a *store.Allocation) store.AllocationStub {
			return a.Stub(states, resources)
		})
}

func listEvaluations(c *Cluster, st *store.State, q *query) (any, error) {
	rows := st.Evaluations
	status, job := q.values.Get("status"), q.values.Get("job")
	if status != "" || job != "" {
		if q.page.Filter != "" {
			return nil, jobspec.BadRequest("Filter expression cannot be used with other filter parameters")
		}
		rows = slices.DeleteFunc(slices.Clone(rows), func(e *store.Evaluation) bool {
			return (status != "" && e.Status != status) || (job != "" && e.JobID != job)
		})
	}
	return listByID(st, q, rows, store.TableEvaluations, "eval lookup failed: ", unchanged)
}

func listDeployments(c *Cluster, st *store.State, q *query) (any, error) {
	return listByID(st, q, st.Deployments, store.TableDeployments, "", unchanged)
}

func unchanged[T any](row T) T { return row }

// listByID lists rows in the order of creation or, if an ID prefix is requested, in the order of IDs.
func listByID[T store.Row, S any](st *store.State, q *query, rows []T, t store.Table, errPrefix string,
	stub func(T) S,
) (any, error) {
	visible, err := visibleNamespaces(st, q, "read-job")
	if err != nil {
		return nil, err
	}
	pages := store.PagesByCreation
	if q.prefix != "" {
		pages = store.PagesByID
		if rows, err = store.RowsWithIDPrefix(rows, q.prefix); err != nil {
			return nil, fmt.Errorf("%s%w", errPrefix, err)
		}
	}
	out, next, err := store.Page(q.page, rows, pages, visible, stub)
	if err == nil {
		q.nextPage, q.resultIndex = next, st.LastChange(t)
	}
	return out, err
}

func listNodes(c *Cluster, st *store.State, q *query) (any, error) {
	if r := q.token.rights; !r.Management && !r.NodeRead {
		return nil, jobspec.ErrDenied
	}
	rows := st.Nodes
	if q.prefix != "" {
		var err error
		if rows, err = store.RowsWithIDPrefix(rows, q.prefix); err != nil {
			return nil, fmt.Errorf("node lookup failed: %w", err)
		}
	}
	out, next, err := store.Page(q.page, rows, store.PagesByID, func(string) bool { return true }, (*store.Node).Stub)
	if err == nil {
		q.nextPage, q.resultIndex = next, st.LastChange(store.TableNodes)
	}
	return out, err
}

func listNamespaces(c *Cluster, st *store.State, q *query) (any, error) {
	out := []*store.Namespace{}
	for _, n := range st.Namespaces {
		if strings.HasPrefix(n.Name, q.prefix) && q.token.rights.allowsAny(n.Name) {
			out = append(out, n)
		}
	}
	q.resultIndex = st.LastChange(store.TableNamespaces)
	return out, nil
}

// leader returns the address of the server's RPC port. Nothing listens there.
func leader(*Cluster, *store.State, *query) (any, error) { return "127.0.0.1:4647", nil }

var errJobNotFound = jobspec.NotFound("job not found")

// forJob returns a query handler for one job. The job is nil if it does not exist. The response has the index of the
// table, unless lookup sets another.
func forJob(t store.Table, lookup func(q *query, j *store.Job) (any, error)) lookupFunc {
	return func(c *Cluster, st *store.State, q *query) (any, error) {
		if !q.token.rights.allows(q.namespace, "read-job") {
			return nil, jobspec.ErrDenied
		}
		q.resultIndex = st.LastChange(t)
		j := st.Job(q.namespace, q.id)
		if j == nil {
			q.orphanSource = st // for the allocations and evaluations of a purged job
		}
		return lookup(q, j)
	}
}

func getJob(q *query, j *store.Job) (any, error) {
	if j == nil {
		return nil, errJobNotFound
	}
	q.resultIndex = j.ModifyIndex
	return j.Detail(), nil
}

func jobSummary(q *query, j *store.Job) (any, error) {
	if j == nil {
		return nil, errJobNotFound
	}
	q.resultIndex = j.Summary.ModifyIndex
	return j.Summary, nil
}

// jobAllocations returns the allocations of a job. With the all parameter, or if the job was purged, it includes
// those of purged jobs with the same ID.
func jobAllocations(q *query, j *store.Job) (any, error) {
	all, err := q.flag("all", false)
	if err != nil {
		return nil, err
	}
	rows := []*store.Allocation(nil)
	if j != nil {
		rows = j.Allocations
	} else {
		rows, _ = q.orphanSource.Orphans(q.namespace, q.id)
	}
	out := []store.AllocationStub{}
	for _, a := range rows {
		if all || j == nil || a.Job.CreateIndex == j.CreateIndex {
			out = append(out, a.Stub(true, false))
		}
	}
	return out, nil
}

func jobEvaluations(q *query, j *store.Job) (any, error) {
	rows := []*store.Evaluation(nil)
	if j != nil {
		rows = j.Evaluations
	} else {
		_, rows = q.orphanSource.Orphans(q.namespace, q.id)
	}
	if rows == nil {
		return []*store.Evaluation{}, nil
	}
	return rows, nil
}

func jobDeployments(_ *query, j *store.Job) (any, error) {
	if j == nil || len(j.Deployments()) == 0 {
		return []*store.Deployment{}, nil
	}
	all := j.Deployments()
	slices.SortFunc(all, func(a, b *store.Deployment) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

func jobDeployment(_ *query, j *store.Job) (any, error) {
	if j == nil || len(j.Deployments()) == 0 {
		return nil, nil
	}
	return j.Deployments()[0], nil
}

func getAllocation(c *Cluster, st *store.State, q *query) (any, error) {
	a, err := st.Allocation(q.id)
	if err != nil {
		return nil, err
	}
	if a == nil {
		q.resultIndex = st.LastChange(store.TableAllocations)
		return nil, jobspec.NotFound("alloc not found")
	}
	if !q.token.rights.allows(a.Namespace, "read-job") {
		return nil, unknownAllocation(q.id) // Nomad returns 500 instead of 403 here
	}
	q.resultIndex = a.ModifyIndex
	return a.Detail(), nil
}

func unknownAllocation(id string) error { return fmt.Errorf("Unknown allocation %q", id) }

// visibleNamespaces returns a function that reports which namespaces a list may include. It returns an error if the
// token does not have the capability in the requested namespace or, for "*", in any namespace.
func visibleNamespaces(st *store.State, q *query, capability string) (func(namespace string) bool, error) {
	rights := q.token.rights
	if !rights.allows(q.namespace, capability) {
		return nil, jobspec.ErrDenied
	}
	allowed := make(map[string]bool)
	for _, n := range st.Namespaces {
		allowed[n.Name] = rights.allows(n.Name, capability)
	}
	return func(namespace string) bool { return allowed[namespace] }, nil
}

// getNode returns a whole node.
func getNode(c *Cluster, st *store.State, q *query) (any, error) {
	if r := q.token.rights; !r.Management && !r.NodeRead {
		return nil, jobspec.ErrDenied
	}
	if _, err := store.UUIDDigits(q.id, true); err != nil {
		return nil, fmt.Errorf("node lookup failed: index error: %w", err)
	}
	n := st.NodeByID(q.id)
	if n == nil {
		q.resultIndex = st.LastChange(store.TableNodes)
		return nil, jobspec.NotFound("node not found")
	}
	q.resultIndex = n.ModifyIndex
	return n.Detail(), nil
}
