package nomad

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// visibleAllocFilter selects the allocations for which backends.Allocation.HiddenByDefault is false. Unknown ones, on
// disconnected nodes, may still be running.
const visibleAllocFilter = `ClientStatus == "running" or ClientStatus == "pending" or ` +
	`ClientStatus == "failed" or ClientStatus == "unknown"`

// jobKey identifies a job within a tier.
type jobKey struct{ namespace, id string }

// Jobs lists the jobs, their allocations, their deployments and the unfinished evaluations concurrently. Nomad filters
// each list by the selection's prefixes. Jobs determines unplaced groups from blocked evaluations, because the counts
// in job summaries drift.
func (c *Client) Jobs(ctx context.Context, s backends.Selection) ([]backends.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	namespace := cmp.Or(s.Namespace, "*")
	ofJobs := prefixFilter("JobID", s.Prefixes)
	var (
		stubs       []*api.JobListStub
		allocations []*api.AllocationListStub
		deployments []*api.Deployment
		evaluations []*api.Evaluation // blocked and pending ones; a pending one may wait to replace an allocation
	)
	g, gctx := errgroup.WithContext(ctx)
	start := func(f func() error) { g.Go(func() error { return safego.Protect(f) }) }
	start(func() (err error) {
		stubs, err = readPages(gctx, c, namespace, prefixFilter("ID", s.Prefixes), capListJobs, c.reads.Jobs().List)
		return err
	})
	start(func() (err error) {
		filter := andFilters(`(Status == "blocked" or Status == "pending")`, ofJobs)
		evaluations, err = readPages(gctx, c, namespace, filter, capReadJob, c.reads.Evaluations().List)
		return err
	})
	start(func() (err error) {
		filter := ofJobs
		if !s.IncludeHidden {
			filter = andFilters(filter, visibleAllocFilter)
		}
		allocations, err = readPages(gctx, c, namespace, filter, capReadJob, c.reads.Allocations().List)
		return err
	})
	start(func() (err error) {
		deployments, err = readPages(gctx, c, namespace, ofJobs, capReadJob, c.reads.Deployments().List)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	jobs := buildJobs(c.tier.Name, stubs, allocations, deployments, evaluations)
	if s.Namespace != "" {
		return jobs, nil
	}
	return jobs, c.unreadableNamespaces(ctx, jobs)
}

// unreadableNamespaces returns an error for each namespace whose jobs the token may list but not read: Nomad omits
// their allocations from lists without an error. It checks namespaces with running jobs and without any allocation.
func (c *Client) unreadableNamespaces(ctx context.Context, jobs []backends.Job) error {
	suspect := map[string]bool{}
	for _, job := range jobs {
		if _, known := suspect[job.Namespace]; !known && job.Counts.Running+job.Counts.Starting+job.Counts.Unknown > 0 {
			suspect[job.Namespace] = true
		}
		if len(job.Allocations) > 0 {
			suspect[job.Namespace] = false
		}
	}
	var errs []error
	for _, namespace := range slices.Sorted(maps.Keys(suspect)) {
		if !suspect[namespace] {
			continue
		}
		_, err := readObject(ctx, c, namespace, capReadJob,
			func(q *api.QueryOptions) ([]*api.AllocationListStub, *api.QueryMeta, error) {
				q.PerPage = 1
				return c.reads.Allocations().List(q)
			})
		if errors.Is(err, backends.ErrForbidden) {
			errs = append(errs, &backends.NamespaceError{Namespace: namespace, Err: err})
		}
	}
	return errors.Join(errs...)
}

// totalCounts adds the groups of a summary, which may be nil.
func totalCounts(summary *api.JobSummary) (c backends.Counts) {
	if summary != nil {
		for _, g := range summary.Summary {
			c = addCounts(c, summaryCounts(g))
		}
	}
	return c
}

func addCounts(a, b backends.Counts) backends.Counts {
	return backends.Counts{
		Queued: a.Queued + b.Queued, Starting: a.Starting + b.Starting, Running: a.Running + b.Running,
		Failed: a.Failed + b.Failed, Complete: a.Complete + b.Complete, Lost: a.Lost + b.Lost,
		Unknown: a.Unknown + b.Unknown,
	}
}

// summaryCounts omits Queued, which drifts, even below zero.
func summaryCounts(g api.TaskGroupSummary) backends.Counts {
	return backends.Counts{
		Starting: g.Starting, Running: g.Running, Failed: g.Failed, Complete: g.Complete, Lost: g.Lost, Unknown: g.Unknown,
	}
}

// dropReschedules removes the pending replacements of a failed deployment's allocations. Nomad creates evaluations for
// them, but replaces none.
func dropReschedules(job *backends.Job) {
	d := job.LatestDeployment
	if d == nil || d.Status != "failed" {
		return
	}
	for i := range job.Allocations {
		if a := &job.Allocations[i]; a.Version == d.Version {
			a.ReschedulePending, a.RescheduleAt = false, time.Time{}
		}
	}
}

// buildJobs joins the lists.
func buildJobs(
	tier string, stubs []*api.JobListStub, allocations []*api.AllocationListStub,
	deployments []*api.Deployment, evaluations []*api.Evaluation,
) []backends.Job {
	jobs := make(map[jobKey]*backends.Job, len(stubs))
	created := make(map[jobKey]uint64, len(stubs))
	datacenters := make(map[jobKey][]string, len(stubs))
	for _, stub := range stubs {
		key := jobKey{stub.Namespace, stub.ID}
		created[key], datacenters[key] = stub.CreateIndex, stub.Datacenters
		jobs[key] = &backends.Job{
			Tier: tier, Namespace: stub.Namespace, ID: stub.ID, Type: stub.Type, Status: stub.Status,
			Root: backends.RootID(stub.ID, stub.ParentID), Parent: stub.ParentID,
			Submitted: time.Unix(0, stub.SubmitTime).UTC(), ModifyIndex: stub.JobModifyIndex,
			Periodic: stub.Periodic, Parameterized: stub.ParameterizedJob, Stopped: stub.Stop,
			Counts: totalCounts(stub.JobSummary),
		}
	}
	rescheduleAt := rescheduleTimes(evaluations)
	for _, stub := range allocations {
		key := jobKey{stub.Namespace, stub.JobID}
		if jobs[key] == nil { // the job has been purged and its allocations are still stopping
			jobs[key] = &backends.Job{
				Tier: tier, Namespace: stub.Namespace, ID: stub.JobID, Type: stub.JobType, Status: "dead",
				Root: backends.RootID(stub.JobID, ""),
			}
		}
		a := newAllocation(stub, jobs[key])
		a.RescheduleAt = rescheduleAt[stub.FollowupEvalID]
		jobs[key].Allocations = append(jobs[key].Allocations, a)
	}
	latest := map[jobKey]uint64{}
	for _, d := range deployments {
		key := jobKey{d.Namespace, d.JobID}
		// The index distinguishes the job from an earlier, purged one with the same ID.
		if job := jobs[key]; job != nil && d.JobCreateIndex == created[key] && d.CreateIndex > latest[key] {
			latest[key] = d.CreateIndex
			job.DeploymentStatus, job.LatestDeployment = d.Status, deploymentOf(d)
		}
	}
	clear(latest)
	for _, evaluation := range evaluations {
		key := jobKey{evaluation.Namespace, evaluation.JobID}
		if job := jobs[key]; job != nil && evaluation.Status == "blocked" && evaluation.CreateIndex > latest[key] {
			latest[key] = evaluation.CreateIndex
			job.Unplaced = unplacedGroups(evaluation, jobPlacement{datacenters: datacenters[key]})
			for _, u := range job.Unplaced {
				job.Counts.Queued += u.Count
			}
		}
	}
	all := make([]backends.Job, 0, len(jobs))
	for _, job := range jobs {
		slices.SortFunc(job.Allocations, compareAllocations)
		dropReschedules(job)
		all = append(all, *job)
	}
	slices.SortFunc(all, func(a, b backends.Job) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Namespace, b.Namespace))
	})
	return all
}

// rescheduleTimes returns when the evaluations that wait will start, by ID.
func rescheduleTimes(evaluations []*api.Evaluation) map[string]time.Time {
	times := map[string]time.Time{}
	for _, e := range evaluations {
		if e.Status == "pending" && !e.WaitUntil.IsZero() {
			times[e.ID] = e.WaitUntil.UTC()
		}
	}
	return times
}

// compareAllocations sorts by group, index in the group, newest first.
func compareAllocations(a, b backends.Allocation) int {
	return cmp.Or(
		strings.Compare(a.Group, b.Group),
		// Names are job.group[index], so the shorter name has the smaller index.
		cmp.Compare(len(a.Name), len(b.Name)),
		strings.Compare(a.Name, b.Name),
		b.Created.Compare(a.Created),
		strings.Compare(a.ID, b.ID),
	)
}

// newAllocation converts an allocation of a list.
func newAllocation(stub *api.AllocationListStub, job *backends.Job) backends.Allocation {
	a := backends.Allocation{
		Tier: job.Tier, Namespace: stub.Namespace, JobID: stub.JobID, Root: job.Root,
		ID: stub.ID, Name: stub.Name, Group: stub.TaskGroup, Node: stub.NodeName, NodeID: stub.NodeID,
		Status: stub.ClientStatus, Desired: stub.DesiredStatus, DesiredReason: stub.DesiredDescription,
		ClientReason: stub.ClientDescription, Version: stub.JobVersion, JobType: stub.JobType,
		Next: stub.NextAllocation, ReschedulePending: stub.FollowupEvalID != "",
		Created: time.Unix(0, stub.CreateTime).UTC(), Modified: time.Unix(0, stub.ModifyTime).UTC(),
	}
	if d := stub.DeploymentStatus; d != nil {
		a.Healthy, a.Canary = d.Healthy, d.Canary
	}
	if r := stub.RescheduleTracker; r != nil {
		for _, e := range r.Events {
			a.Rescheduled = append(a.Rescheduled, backends.Reschedule{
				Time: time.Unix(0, e.RescheduleTime).UTC(), Previous: e.PrevAllocID,
			})
		}
	}
	for name, state := range stub.TaskStates {
		if state == nil {
			continue
		}
		task := backends.Task{
			Name: name, ExecID: backends.ExecID(name, stub.ID), State: state.State, Failed: state.Failed,
			Started: state.StartedAt, Finished: state.FinishedAt, Restarts: int(state.Restarts),
			LastRestart: state.LastRestart,
		}
		for _, e := range state.Events {
			task.Events = append(task.Events, backends.Event{
				Time: time.Unix(0, e.Time).UTC(), Type: e.Type, Message: cmp.Or(e.DisplayMessage, e.Message),
				Details: e.Details,
			})
		}
		a.Tasks = append(a.Tasks, task)
	}
	slices.SortFunc(a.Tasks, func(x, y backends.Task) int { return strings.Compare(x.Name, y.Name) })
	return a
}
