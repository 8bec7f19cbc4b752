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
)

// scopedCluster is the clusters of all tiers as one user sees them for one command. Every method asks only for what the
// user owns and looks at every answer again: what is not theirs goes no further. It embeds nothing, so a method
// that is added to backends.Cluster does not compile until it is scoped here.
type scopedCluster struct {
	owned    acl.Scope
	clusters map[string]*backends.SharedCluster
	maxAge   time.Duration // of the clusters' answers
	event    *audit.Event
	onList   func([]backends.Job) // may be nil; is called with the jobs of each listing
}

var _ backends.Cluster = (*scopedCluster)(nil)

func (s *scopedCluster) Jobs(ctx context.Context, sel backends.Selection) ([]backends.Job, error) {
	tiers, err := s.tiers(sel.Tier)
	if err != nil {
		return nil, err
	}
	s.event.Namespace = sel.Namespace
	answers, errs := make([][]backends.Job, len(tiers)), make([]error, len(tiers))
	var wg sync.WaitGroup
	for i, tier := range tiers {
		wg.Go(func() {
			errs[i] = tierErrors(tier, backends.Protect(func() (err error) {
				answers[i], err = s.jobs(ctx, tier, sel)
				return err
			}))
		})
	}
	wg.Wait()
	jobs := slices.Concat(answers...)
	slices.SortFunc(jobs, func(a, b backends.Job) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Tier, b.Tier), strings.Compare(a.Namespace, b.Namespace))
	})
	if s.onList != nil {
		s.onList(jobs)
	}
	return jobs, flattenErrors(errs)
}

// tierErrors returns err, or each of the errors that were joined in it, with the name of the tier.
func tierErrors(tier string, err error) error {
	if err == nil {
		return nil
	}
	var all []error
	for _, one := range splitErrors(err) {
		all = append(all, &backends.TierError{Tier: tier, Err: one})
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// splitErrors returns the errors that were joined in err, or err alone: one that is a sentence around several errors is one.
func splitErrors(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || err.Error() != errors.Join(joined.Unwrap()...).Error() {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, splitErrors(one)...)
	}
	return all
}

// flattenErrors joins errors, of which some may be joined ones themselves; nil if there are none.
func flattenErrors(errs []error) error {
	joined := errors.Join(errs...)
	if joined == nil {
		return nil
	}
	return errors.Join(splitErrors(joined)...)
}

// jobs asks one tier. Where the user has only some namespaces, each is asked for by itself, and another is not: what
// is not theirs must not show in the time an answer takes either. One that the gateway's token may not read hides no other.
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
	refused := 0 // namespaces for which the token as such was refused
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
			break // it does not answer, and would not the next time
		}
	}
	if refused > 0 && refused == len(namespaces) {
		errs = []error{errors.Unwrap(errs[0])}
	}
	all = slices.DeleteFunc(all, func(j backends.Job) bool { return !s.owned.Owns(tier, j.Namespace, j.Root) })
	if s.owned.Namespaces(tier) == nil && sel.Namespace == "" {
		errs = slices.DeleteFunc(splitErrors(flattenErrors(errs)), func(err error) bool { // a namespace in which nothing is theirs is not named
			n, ok := errors.AsType[*backends.NamespaceError](err)
			return ok && !slices.ContainsFunc(all, func(j backends.Job) bool { return j.Namespace == n.Namespace })
		})
	}
	return all, flattenErrors(errs)
}

// onlyNamespaceErrors reports whether err is about namespaces that the gateway's token may not read, and nothing else. What is in them
// cannot be used either, so it makes no name ambiguous.
func onlyNamespaceErrors(err error) bool {
	for _, one := range splitErrors(err) {
		if _, ok := errors.AsType[*backends.NamespaceError](one); !ok {
			return false
		}
	}
	return true
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
	return collectByTier(s, allocations, func(c backends.Cluster, own []backends.Allocation) map[string][]backends.Check {
		return c.Checks(ctx, own)
	})
}

// collectByTier asks each tier about its allocations, of those that are the user's, and puts the answers together.
func collectByTier[T any](s *scopedCluster, allocations []backends.Allocation, ask func(backends.Cluster, []backends.Allocation) map[string]T) map[string]T {
	byTier := map[string][]backends.Allocation{}
	for _, a := range allocations {
		if s.owns(a) {
			byTier[a.Tier] = append(byTier[a.Tier], a)
		}
	}
	var mu sync.Mutex
	all := map[string]T{}
	var wg sync.WaitGroup
	for tier, own := range byTier {
		wg.Go(func() {
			_ = backends.Protect(func() error { // best effort
				answer := ask(s.cluster(tier), own)
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(all, answer)
				return nil
			})
		})
	}
	wg.Wait()
	return all
}

func (s *scopedCluster) owns(a backends.Allocation) bool {
	return s.owned.Owns(a.Tier, a.Namespace, a.Root)
}

// errNotOwned is what a command gets that asks for something it was not given. No user sees it.
var errNotOwned = errors.New("not in the user's scope")

// queryTier asks a tier about one job or allocation, if that is the user's.
func queryTier[T any](s *scopedCluster, tier, namespace, root string, ask func(backends.Cluster) (T, error)) (answer T, err error) {
	if !s.owned.Owns(tier, namespace, root) {
		return answer, errNotOwned
	}
	err = backends.Protect(func() (err error) {
		answer, err = ask(s.cluster(tier))
		return err
	})
	return answer, tierErrors(tier, err)
}

func (s *scopedCluster) Job(ctx context.Context, job backends.Job) (backends.JobDetail, error) {
	return queryTier(s, job.Tier, job.Namespace, job.Root, func(c backends.Cluster) (backends.JobDetail, error) { return c.Job(ctx, job) })
}

func (s *scopedCluster) Definition(ctx context.Context, job backends.Job, version *uint64) (json.RawMessage, error) {
	return queryTier(s, job.Tier, job.Namespace, job.Root, func(c backends.Cluster) (json.RawMessage, error) { return c.Definition(ctx, job, version) })
}

func (s *scopedCluster) Versions(ctx context.Context, job backends.Job) ([]backends.Version, error) {
	return queryTier(s, job.Tier, job.Namespace, job.Root, func(c backends.Cluster) ([]backends.Version, error) { return c.Versions(ctx, job) })
}

func (s *scopedCluster) Deployments(ctx context.Context, job backends.Job) ([]backends.Deployment, error) {
	return queryTier(s, job.Tier, job.Namespace, job.Root, func(c backends.Cluster) ([]backends.Deployment, error) { return c.Deployments(ctx, job) })
}

func (s *scopedCluster) Allocation(ctx context.Context, a backends.Allocation) (backends.AllocationDetail, error) {
	return queryTier(s, a.Tier, a.Namespace, a.Root, func(c backends.Cluster) (backends.AllocationDetail, error) { return c.Allocation(ctx, a) })
}

func (s *scopedCluster) NodeAddress(ctx context.Context, a backends.Allocation) (string, error) {
	return queryTier(s, a.Tier, a.Namespace, a.Root, func(c backends.Cluster) (string, error) { return c.NodeAddress(ctx, a) })
}

// Schedules asks each tier about its jobs. The order is that of jobs; those of a tier that fails have none.
func (s *scopedCluster) Schedules(ctx context.Context, jobs []backends.Job) ([]backends.Schedule, error) {
	schedules := make([]backends.Schedule, len(jobs))
	places := map[string][]int{}
	for i, job := range jobs {
		if s.owned.Owns(job.Tier, job.Namespace, job.Root) {
			places[job.Tier] = append(places[job.Tier], i)
		}
	}
	tiers := slices.Sorted(maps.Keys(places))
	errs := make([]error, len(tiers))
	var wg sync.WaitGroup
	for n, tier := range tiers {
		var own []backends.Job
		for _, i := range places[tier] {
			own = append(own, jobs[i])
		}
		wg.Go(func() {
			var answers []backends.Schedule
			answers, errs[n] = queryTier(s, tier, own[0].Namespace, own[0].Root, func(c backends.Cluster) ([]backends.Schedule, error) { return c.Schedules(ctx, own) })
			for n, answer := range answers {
				schedules[places[tier][n]] = answer
			}
		})
	}
	wg.Wait()
	return schedules, errors.Join(errs...)
}

// tiers returns the tiers that name means: its own or an alias's, all of the scope's when it is empty, "all" or
// the original's "alles".
func (s *scopedCluster) tiers(name string) ([]string, error) {
	switch name {
	case "", "all", "alles":
		return s.owned.Tiers(), nil
	}
	tier, ok := s.owned.Tier(name)
	if !ok {
		yours := s.owned.Tiers()
		return nil, Exit(2, fmt.Errorf("no tier %s%s (yours: %s)", name, didYouMean(name, yours), strings.Join(yours, ", ")))
	}
	s.event.Tier = tier
	return []string{tier}, nil
}
