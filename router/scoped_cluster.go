package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/clusterview"
	"nomadctld/internal/safego"
)

// scopedCluster queries the clusters of all tiers on behalf of one user and one command. Every method queries only
// what the user owns, filters the response again, and hides secrets in definitions. It embeds nothing, so that a new
// method of backends.Cluster does not compile until it is scoped here.
type scopedCluster struct {
	owned    acl.Scope
	clusters map[string]*clusterview.Shared
	maxAge   time.Duration // of cached responses
	event    *audit.Event
	secrets  secretFilter
	onList   func([]backends.Job) // called with the jobs of each listing; may be nil
}

var _ backends.Cluster = (*scopedCluster)(nil)

func (s *scopedCluster) Jobs(ctx context.Context, sel backends.Selection) ([]backends.Job, error) {
	tiers, err := s.tiers(sel.Tier)
	if err != nil {
		return nil, err
	}
	s.event.Namespace = sel.Namespace
	responses, errs := make([][]backends.Job, len(tiers)), make([]error, len(tiers))
	var wg sync.WaitGroup
	for i, tier := range tiers {
		wg.Go(func() {
			errs[i] = addTier(tier, safego.Protect(func() (err error) {
				responses[i], err = s.jobs(ctx, tier, sel)
				return err
			}))
		})
	}
	wg.Wait()
	jobs := slices.Concat(responses...)
	slices.SortFunc(jobs, func(a, b backends.Job) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Tier, b.Tier), strings.Compare(a.Namespace, b.Namespace))
	})
	if s.onList != nil {
		s.onList(jobs)
	}
	return jobs, flattenErrors(errs)
}

// jobs queries one tier. If the user has only some namespaces, it queries each of these separately and no other, so
// that the response time reveals nothing about the others. A namespace that the gateway's token may not read does
// not hide the rest.
func (s *scopedCluster) jobs(ctx context.Context, tier string, sel backends.Selection) ([]backends.Job, error) {
	sel.Tier, sel.Prefixes = tier, s.owned.Prefixes(tier)
	namespaces := s.owned.Namespaces(tier)
	switch {
	case namespaces == nil:
		namespaces = []string{sel.Namespace}
	case sel.Namespace != "" && !slices.Contains(namespaces, sel.Namespace):
		return nil, nil
	case sel.Namespace != "":
		namespaces = []string{sel.Namespace}
	}
	var all []backends.Job
	var errs []error
	refused := 0 // namespaces refused for a reason other than a missing capability
	for _, sel.Namespace = range namespaces {
		jobs, err := s.cluster(tier).Jobs(ctx, sel)
		all = append(all, jobs...)
		if len(namespaces) > 1 && errors.Is(err, backends.ErrForbidden) {
			if _, ok := errors.AsType[*backends.MissingCapabilityError](err); !ok {
				refused++
			}
			errs = append(errs, &backends.NamespaceError{Namespace: sel.Namespace, Err: err})
			continue
		}
		if err != nil {
			errs = append(errs, err)
		}
		if err != nil && !onlyNamespaceErrors(err) {
			break // unreachable: the next query would fail too
		}
	}
	if refused > 0 && refused == len(namespaces) {
		errs = []error{errors.Unwrap(errs[0])}
	}
	all = slices.DeleteFunc(all, func(j backends.Job) bool {
		job := j.Ref()
		job.Tier = tier // the tier that was queried decides
		return !s.owned.Owns(job)
	})
	for i, j := range all {
		all[i] = s.secrets.job(j)
	}
	if s.owned.Namespaces(tier) == nil && sel.Namespace == "" {
		// An error must not name a namespace in which the user owns no job.
		errs = slices.DeleteFunc(splitErrors(flattenErrors(errs)), func(err error) bool {
			n, ok := errors.AsType[*backends.NamespaceError](err)
			return ok && !slices.ContainsFunc(all, func(j backends.Job) bool { return j.Namespace == n.Namespace })
		})
	}
	return all, flattenErrors(errs)
}

func (s *scopedCluster) cluster(tier string) backends.Cluster {
	return s.clusters[tier].WithMaxAge(s.maxAge)
}

func (s *scopedCluster) Usage(ctx context.Context, allocations []backends.Allocation) map[string]backends.Usage {
	return collectByTier(s, allocations, func(c backends.Cluster, own []backends.Allocation) map[string]backends.Usage {
		return c.Usage(ctx, own)
	})
}

func (s *scopedCluster) Checks(ctx context.Context, allocations []backends.Allocation) map[string][]backends.Check {
	all := collectByTier(s, allocations, func(c backends.Cluster, own []backends.Allocation) map[string][]backends.Check {
		return c.Checks(ctx, own)
	})
	for _, a := range allocations {
		if checks, ok := all[a.ID]; ok {
			all[a.ID] = s.secrets.checks(a.JobRef(), checks)
		}
	}
	return all
}

func (s *scopedCluster) NodeStates(
	ctx context.Context, allocations []backends.Allocation,
) map[string]backends.NodeState {
	return collectByTier(s, allocations,
		func(c backends.Cluster, own []backends.Allocation) map[string]backends.NodeState {
			return c.NodeStates(ctx, own)
		})
}

// collectByTier queries each tier about the user's allocations in it, and merges the responses.
func collectByTier[T any](s *scopedCluster, allocations []backends.Allocation,
	query func(backends.Cluster, []backends.Allocation) map[string]T,
) map[string]T {
	byTier := map[string][]backends.Allocation{}
	for _, a := range allocations {
		if s.owns(a) {
			byTier[a.Tier] = append(byTier[a.Tier], a)
		}
	}
	var mu sync.Mutex
	all := map[string]T{}
	var wg sync.WaitGroup
	for _, own := range byTier {
		wg.Go(func() {
			response, _ := guard(s.owned, s.cluster, own[0].JobRef(), // best effort
				func(c backends.Cluster) (map[string]T, error) { return query(c, own), nil })
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(all, response)
		})
	}
	wg.Wait()
	return all
}

func (s *scopedCluster) owns(a backends.Allocation) bool {
	return s.owned.Owns(a.JobRef())
}

func (s *scopedCluster) Job(ctx context.Context, job backends.Job) (backends.JobDetail, error) {
	return guard(s.owned, s.cluster, job.Ref(),
		func(c backends.Cluster) (backends.JobDetail, error) {
			detail, err := c.Job(ctx, job)
			detail.Job = s.secrets.job(detail.Job)
			return detail, err
		})
}

func (s *scopedCluster) Definition(ctx context.Context, job backends.Job, version *uint64) (json.RawMessage, error) {
	return guard(s.owned, s.cluster, job.Ref(),
		func(c backends.Cluster) (json.RawMessage, error) {
			definition, err := c.Definition(ctx, job, version)
			if err != nil {
				return nil, err
			}
			return s.secrets.json(job.Ref(), definition)
		})
}

func (s *scopedCluster) Versions(ctx context.Context, job backends.Job) ([]backends.Version, error) {
	return guard(s.owned, s.cluster, job.Ref(),
		func(c backends.Cluster) ([]backends.Version, error) {
			versions, err := c.Versions(ctx, job)
			if err != nil {
				return nil, err
			}
			return s.secrets.versions(job.Ref(), versions)
		})
}

func (s *scopedCluster) Deployments(ctx context.Context, job backends.Job) ([]backends.Deployment, error) {
	return guard(s.owned, s.cluster, job.Ref(),
		func(c backends.Cluster) ([]backends.Deployment, error) { return c.Deployments(ctx, job) })
}

func (s *scopedCluster) Allocation(ctx context.Context, a backends.Allocation) (backends.AllocationDetail, error) {
	return guard(s.owned, s.cluster, a.JobRef(),
		func(c backends.Cluster) (backends.AllocationDetail, error) {
			detail, err := c.Allocation(ctx, a)
			detail.Checks = s.secrets.checkDefinitions(a.JobRef(), detail.Checks)
			return detail, err
		})
}

func (s *scopedCluster) NodeAddress(ctx context.Context, a backends.Allocation) (string, error) {
	return guard(s.owned, s.cluster, a.JobRef(),
		func(c backends.Cluster) (string, error) { return c.NodeAddress(ctx, a) })
}

// Schedules queries each tier about its jobs. The result is in the order of jobs; jobs of a tier that fails have the
// zero Schedule.
func (s *scopedCluster) Schedules(ctx context.Context, jobs []backends.Job) ([]backends.Schedule, error) {
	schedules := make([]backends.Schedule, len(jobs))
	indexes := map[string][]int{}
	for i, job := range jobs {
		if s.owned.Owns(job.Ref()) {
			indexes[job.Tier] = append(indexes[job.Tier], i)
		}
	}
	tiers := slices.Sorted(maps.Keys(indexes))
	errs := make([]error, len(tiers))
	var wg sync.WaitGroup
	for n, tier := range tiers {
		var own []backends.Job
		for _, i := range indexes[tier] {
			own = append(own, jobs[i])
		}
		wg.Go(func() {
			var responses []backends.Schedule
			responses, errs[n] = guard(s.owned, s.cluster, own[0].Ref(),
				func(c backends.Cluster) ([]backends.Schedule, error) { return c.Schedules(ctx, own) })
			for n, response := range responses {
				schedules[indexes[tier][n]] = response
			}
		})
	}
	wg.Wait()
	return schedules, errors.Join(errs...)
}

// tiers returns the tiers that name selects: by name or alias, or all of the scope for "", "all" and "alles", the
// word of the original nomadctld.
func (s *scopedCluster) tiers(name string) ([]string, error) {
	switch name {
	case "", "all", "alles":
		return s.owned.Tiers(), nil
	}
	tier, ok := s.owned.Tier(name)
	if !ok {
		yours := s.owned.Tiers()
		s.event.Decision = audit.Denied
		return nil, Exit(2, fmt.Errorf("no tier %s%s (yours: %s)", name, didYouMean(name, yours), strings.Join(yours, ", ")))
	}
	s.event.Tier = tier
	return []string{tier}, nil
}
