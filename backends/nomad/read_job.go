package nomad

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// fetchFunc makes one request with the library.
type fetchFunc[T any] = func(*api.QueryOptions) (T, *api.QueryMeta, error)

// readObject returns one object and retries transient errors. A 404 is ErrNotFound. capability is the one that the read
// needs, or a rule of the policy.
func readObject[T any](
	ctx context.Context, c *Client, namespace, capability string, fetch fetchFunc[T],
) (value T, err error) {
	var cause error
	started := time.Now()
	defer func() { c.reportState(ctx, started, err, cause) }()
	q, err := c.queryOptions(ctx, namespace)
	if err != nil {
		return value, err
	}
	value, _, err = retryRead(ctx, c.retryBackoff, func() (T, *api.QueryMeta, error) { return fetch(q) }, isTransient)
	cause = err
	var response api.UnexpectedResponseError
	switch {
	case err == nil:
		return value, nil
	case errors.As(err, &response) && response.HasStatusCode() && response.StatusCode() == http.StatusNotFound:
		return value, backends.ErrNotFound
	case isForbidden(err):
		return value, c.forbiddenError(ctx, namespace, capability, err)
	}
	return value, explain(err)
}

// Job reads the definition and the evaluations of the job, and after them its summary, allocations and deployment.
// Nomad completes an evaluation after it has stored its results. So if an evaluation is complete, the allocations and
// the deployment that it created are in the result.
func (c *Client) Job(ctx context.Context, job backends.Job) (backends.JobDetail, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var (
		definition  *api.Job
		summary     *api.JobSummary
		children    []*api.JobListStub
		allocations []*api.AllocationListStub
		deployment  *api.Deployment
		evaluations []*api.Evaluation
	)
	g, gctx := errgroup.WithContext(ctx)
	start := func(f func() error) { g.Go(func() error { return safego.Protect(f) }) }
	start(func() (err error) {
		evaluations, err = c.evaluations(gctx, job)
		return err
	})
	start(func() (err error) {
		definition, err = c.definition(gctx, job)
		if err == nil && canHaveChildren(definition) {
			children, err = c.children(gctx, job)
		}
		return err
	})
	if err := g.Wait(); err != nil {
		return backends.JobDetail{}, err
	}
	g, gctx = errgroup.WithContext(ctx)
	start(func() (err error) {
		summary, err = readObject(gctx, c, job.Namespace, capReadJob,
			func(q *api.QueryOptions) (*api.JobSummary, *api.QueryMeta, error) {
				return c.reads.Jobs().Summary(job.ID, q)
			})
		return err
	})
	start(func() (err error) {
		allocations, err = readObject(gctx, c, job.Namespace, capReadJob,
			func(q *api.QueryOptions) ([]*api.AllocationListStub, *api.QueryMeta, error) {
				return c.reads.Jobs().Allocations(job.ID, false, q)
			})
		return err
	})
	start(func() (err error) {
		deployment, err = readObject(gctx, c, job.Namespace, capReadJob,
			func(q *api.QueryOptions) (*api.Deployment, *api.QueryMeta, error) {
				return c.reads.Jobs().LatestDeployment(job.ID, q)
			})
		return err
	})
	if err := g.Wait(); err != nil {
		return backends.JobDetail{}, err
	}
	return jobDetail(job, definition, summary, children, allocations, deployment, evaluations), nil
}

// canHaveChildren reports whether a job is periodic, or is parameterized and not a dispatched child.
func canHaveChildren(definition *api.Job) bool {
	return definition.Periodic != nil || definition.ParameterizedJob != nil && !definition.Dispatched
}

// children returns the child jobs that Nomad retains. The counts in the job's summary are unreliable: they drift, even
// below zero.
func (c *Client) children(ctx context.Context, job backends.Job) ([]*api.JobListStub, error) {
	listByPrefix := func(q *api.QueryOptions) ([]*api.JobListStub, *api.QueryMeta, error) {
		q.Prefix = job.ID + "/" // not a filter, because job IDs cannot be escaped there
		return c.reads.Jobs().List(q)
	}
	stubs, err := readPages(ctx, c, job.Namespace, "", capListJobs, listByPrefix)
	return slices.DeleteFunc(stubs, func(s *api.JobListStub) bool {
		return s.ParentID != job.ID || s.Namespace != job.Namespace
	}), err
}

func (c *Client) definition(ctx context.Context, job backends.Job) (*api.Job, error) {
	return readObject(ctx, c, job.Namespace, capReadJob,
		func(q *api.QueryOptions) (*api.Job, *api.QueryMeta, error) {
			return c.reads.Jobs().Info(job.ID, q)
		})
}

func (c *Client) evaluations(ctx context.Context, job backends.Job) ([]*api.Evaluation, error) {
	return readObject(ctx, c, job.Namespace, capReadJob,
		func(q *api.QueryOptions) ([]*api.Evaluation, *api.QueryMeta, error) {
			return c.reads.Jobs().Evaluations(job.ID, q)
		})
}

// jobDetail builds the result of Job. It sorts the lists and corrects the counts of the summary.
func jobDetail(
	job backends.Job, definition *api.Job, summary *api.JobSummary, children []*api.JobListStub,
	allocations []*api.AllocationListStub, deployment *api.Deployment, evaluations []*api.Evaluation,
) backends.JobDetail {
	definition.Canonicalize()
	d := backends.JobDetail{
		Job: job, Name: *definition.Name, Version: *definition.Version, Priority: *definition.Priority,
		Datacenters: definition.Datacenters, NodePool: deref(definition.NodePool),
		Schedule: scheduleOf(definition), IdempotencyToken: deref(definition.DispatchIdempotencyToken),
	}
	d.Type, d.Status, d.Stopped = *definition.Type, *definition.Status, *definition.Stop
	d.Submitted = time.Unix(0, deref(definition.SubmitTime)).UTC()
	d.ModifyIndex = deref(definition.JobModifyIndex)
	d.LatestDeployment = deploymentOf(deployment)
	d.Allocations = nil
	rescheduleAt := rescheduleTimes(evaluations)
	for _, stub := range allocations {
		a := newAllocation(stub, &d.Job)
		a.RescheduleAt = rescheduleAt[stub.FollowupEvalID]
		d.Allocations = append(d.Allocations, a)
	}
	slices.SortFunc(d.Allocations, compareAllocations)
	dropReschedules(&d.Job)
	slices.SortFunc(evaluations, func(a, b *api.Evaluation) int { return cmp.Compare(b.CreateIndex, a.CreateIndex) })
	in := jobPlacement{d.Datacenters, d.NodePool}
	d.Unplaced = nil
	for _, e := range evaluations {
		d.Evaluations = append(d.Evaluations, backends.Evaluation{
			ID: e.ID, Priority: e.Priority, Trigger: e.TriggeredBy, Status: e.Status, Description: e.StatusDescription,
			Created: time.Unix(0, e.CreateTime).UTC(), Unplaced: unplacedGroups(e, in),
		})
		if e.Status == "blocked" && d.Unplaced == nil {
			d.Unplaced = unplacedGroups(e, in)
		}
	}
	d.Counts = backends.Counts{}
	for _, g := range definition.TaskGroups {
		group := backends.Group{
			Name: *g.Name, Count: *g.Count, Tasks: taskDefinitions(g), Restart: restartPolicy(g.RestartPolicy),
			Reschedule: reschedulePolicy(g.ReschedulePolicy), MaxRun: maxRun(definition, g),
		}
		for _, task := range g.Tasks {
			for _, action := range task.Actions {
				d.Actions = append(d.Actions, backends.Action{Name: action.Name, Group: *g.Name, Task: task.Name})
			}
		}
		if p := g.Scaling; p != nil {
			group.Scaling = &backends.CountRange{Min: int(deref(p.Min)), Max: int(deref(p.Max))}
		}
		if summary != nil {
			group.Counts = summaryCounts(summary.Summary[*g.Name])
		}
		group.Counts = mergeCounts(group.Counts, group.Name, d.Allocations, d.Unplaced)
		d.Counts = addCounts(d.Counts, group.Counts)
		for _, a := range d.Allocations {
			if a.Group == group.Name {
				sortTasks(a.Tasks, group.Tasks)
			}
		}
		if u := g.Update; u != nil && deref(u.AutoPromote) && d.LatestDeployment != nil {
			for i := range d.LatestDeployment.Groups {
				dg := &d.LatestDeployment.Groups[i]
				dg.AutoPromote = dg.AutoPromote || dg.Group == *g.Name
			}
		}
		d.Groups = append(d.Groups, group)
	}
	slices.SortFunc(d.Groups, func(a, b backends.Group) int { return strings.Compare(a.Name, b.Name) })
	d.Children = nil
	if canHaveChildren(definition) {
		d.Children = &backends.ChildCounts{}
		for _, child := range children {
			switch child.Status {
			case "pending":
				d.Children.Pending++
			case "running":
				d.Children.Running++
			default:
				d.Children.Dead++
			}
		}
	}
	d.DeploymentStatus = ""
	if d.LatestDeployment != nil {
		d.DeploymentStatus = d.LatestDeployment.Status
	}
	return d
}

// mergeCounts corrects the counts of Nomad's summary, which drift, with those of the group's allocations.
func mergeCounts(
	c backends.Counts, group string, allocations []backends.Allocation, unplaced []backends.UnplacedGroup,
) backends.Counts {
	c.Queued, c.Starting, c.Running, c.Unknown = 0, 0, 0, 0
	for _, u := range unplaced {
		if u.Group == group {
			c.Queued += u.Count
		}
	}
	var failed, complete, lost int
	for _, a := range allocations {
		if a.Group != group {
			continue
		}
		switch a.Status {
		case "pending":
			c.Starting++
		case "running":
			c.Running++
		case "unknown":
			c.Unknown++
		case "failed":
			failed++
		case "complete":
			complete++
		case "lost":
			lost++
		}
	}
	// The summary includes allocations that Nomad has garbage-collected.
	c.Failed, c.Complete, c.Lost = max(c.Failed, failed), max(c.Complete, complete), max(c.Lost, lost)
	return c
}

// deploymentOf converts a deployment; nil stays nil.
func deploymentOf(deployment *api.Deployment) *backends.Deployment {
	if deployment == nil {
		return nil
	}
	d := &backends.Deployment{
		ID: deployment.ID, Version: deployment.JobVersion, Status: deployment.Status,
		Description: deployment.StatusDescription,
	}
	for name, g := range deployment.TaskGroups {
		d.Groups = append(d.Groups, backends.DeploymentGroup{
			Group: name, Desired: g.DesiredTotal, Placed: g.PlacedAllocs, Healthy: g.HealthyAllocs, Unhealthy: g.UnhealthyAllocs,
			Canaries: g.DesiredCanaries, Promoted: g.Promoted, AutoRevert: g.AutoRevert, ProgressDeadline: g.RequireProgressBy,
		})
	}
	slices.SortFunc(d.Groups, func(a, b backends.DeploymentGroup) int { return strings.Compare(a.Group, b.Group) })
	return d
}

// deref returns *p, or the zero value if p is nil.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// Definition returns the job, or one of its versions, as Nomad's own bytes.
func (c *Client) Definition(ctx context.Context, job backends.Job, version *uint64) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	path := "/v1/job/" + url.PathEscape(job.ID)
	if version == nil {
		raw, err := readObject(ctx, c, job.Namespace, capReadJob,
			func(q *api.QueryOptions) (raw json.RawMessage, meta *api.QueryMeta, err error) {
				meta, err = c.reads.Raw().Query(path, &raw, q)
				return raw, meta, err
			})
		// Nomad interprets paths such as /v1/job/a/versions as a request about another job.
		var head struct{ ID string }
		if err == nil && (json.Unmarshal(raw, &head) != nil || head.ID != job.ID) {
			return nil, fmt.Errorf("Nomad interprets the job ID %s as another API path", job.ID)
		}
		return raw, err
	}
	var response struct{ Versions []json.RawMessage }
	_, err := readObject(ctx, c, job.Namespace, capReadJob,
		func(q *api.QueryOptions) (any, *api.QueryMeta, error) {
			meta, err := c.reads.Raw().Query(path+"/versions?diffs=false", &response, q)
			return nil, meta, err
		})
	if err != nil {
		return nil, err
	}
	var retained []string
	for _, raw := range response.Versions {
		var head struct{ Version uint64 }
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, explain(err)
		}
		if head.Version == *version {
			return raw, nil
		}
		retained = append(retained, strconv.FormatUint(head.Version, 10))
	}
	return nil, &versionNotFoundError{Version: *version, Retained: retained}
}

// versionNotFoundError reports that Nomad does not have a version of a job.
type versionNotFoundError struct {
	Version  uint64
	Retained []string // the versions that Nomad has, newest first
}

func (e *versionNotFoundError) Error() string {
	return fmt.Sprintf("version %d not found (Nomad has: %s)", e.Version, strings.Join(e.Retained, ", "))
}
