package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// scope is the clusters of all tiers as one user sees them for one command. Every method asks only for what the
// user owns and looks at every answer again: what is not theirs goes no further. It embeds nothing, so a method
// that is added to backends.Cluster does not compile until it is scoped here.
type scope struct {
	owned    acl.Scope
	clusters map[string]backends.Cluster
	event    *audit.Event
}

var _ backends.Cluster = (*scope)(nil)

func (s *scope) Jobs(ctx context.Context, sel backends.Selection) ([]backends.Job, error) {
	tiers, err := s.tiers(sel.Tier)
	if err != nil {
		return nil, err
	}
	s.event.Namespace = sel.Namespace
	answers, errs := make([][]backends.Job, len(tiers)), make([]error, len(tiers))
	var wg sync.WaitGroup
	for i, tier := range tiers {
		wg.Go(func() {
			err := backends.Protect(func() (err error) {
				answers[i], err = s.jobs(ctx, tier, sel)
				return err
			})
			if err != nil {
				errs[i] = &backends.TierError{Tier: tier, Err: err}
			}
		})
	}
	wg.Wait()
	jobs := slices.Concat(answers...)
	slices.SortFunc(jobs, func(a, b backends.Job) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Tier, b.Tier), strings.Compare(a.Namespace, b.Namespace))
	})
	return jobs, errors.Join(errs...)
}

// jobs asks one tier. Where the user has only some namespaces, each is asked for by itself, and another is not: what
// is not theirs must not show in the time an answer takes either.
func (s *scope) jobs(ctx context.Context, tier string, sel backends.Selection) ([]backends.Job, error) {
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
	for _, sel.Namespace = range namespaces {
		jobs, err := s.clusters[tier].Jobs(ctx, sel)
		if err != nil {
			return nil, err
		}
		all = append(all, jobs...)
	}
	return slices.DeleteFunc(all, func(j backends.Job) bool { return !s.owned.Owns(tier, j.Namespace, j.Root) }), nil
}

func (s *scope) Usage(ctx context.Context, allocations []backends.Allocation) map[string]backends.Usage {
	byTier := map[string][]backends.Allocation{}
	for _, a := range allocations {
		if s.owned.Owns(a.Tier, a.Namespace, a.Root) {
			byTier[a.Tier] = append(byTier[a.Tier], a)
		}
	}
	var mu sync.Mutex
	all := map[string]backends.Usage{}
	var wg sync.WaitGroup
	for tier, allocations := range byTier {
		wg.Go(func() {
			_ = backends.Protect(func() error { // best effort
				usage := s.clusters[tier].Usage(ctx, allocations)
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(all, usage)
				return nil
			})
		})
	}
	wg.Wait()
	return all
}

// tiers returns the tiers that name means: its own or an alias's, all of the scope's when it is empty, "all" or
// the original's "alles".
func (s *scope) tiers(name string) ([]string, error) {
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
