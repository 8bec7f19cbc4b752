package nomad

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
	_ "time/tzdata" // jobs may use time zones that the gateway's machine does not have

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// maxDefinitionReads limits concurrent reads of job definitions. Lists do not contain schedules.
const maxDefinitionReads = 16

// Schedules reads the definition of each periodic or parameterized job.
func (c *Client) Schedules(ctx context.Context, jobs []backends.Job) ([]backends.Schedule, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	schedules := make([]backends.Schedule, len(jobs))
	var mu sync.Mutex
	forbidden := map[string]error{} // by namespace
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxDefinitionReads)
	for i, job := range jobs {
		if !job.Periodic && !job.Parameterized {
			continue
		}
		g.Go(func() error {
			return safego.Protect(func() error {
				definition, err := c.definition(ctx, job)
				if errors.Is(err, backends.ErrNotFound) {
					return nil // purged since it was listed
				}
				if errors.Is(err, backends.ErrForbidden) {
					mu.Lock()
					defer mu.Unlock()
					forbidden[job.Namespace] = err
					return nil // other namespaces may be readable
				}
				if err != nil {
					return err
				}
				schedules[i] = scheduleOf(definition)
				return nil
			})
		})
	}
	err := g.Wait()
	for _, namespace := range slices.Sorted(maps.Keys(forbidden)) {
		err = errors.Join(err, &backends.NamespaceError{Namespace: namespace, Err: forbidden[namespace]})
	}
	return schedules, err
}

// scheduleOf returns the job's schedule. It computes the next run as Nomad does: the earliest of all cron
// expressions, in the job's time zone.
func scheduleOf(job *api.Job) backends.Schedule {
	var s backends.Schedule
	if p := job.ParameterizedJob; p != nil && !job.Dispatched {
		s.Parameterized, s.MetaRequired, s.MetaOptional, s.Payload = true, p.MetaRequired, p.MetaOptional, p.Payload
	}
	p := job.Periodic
	if p == nil {
		return s
	}
	p.Canonicalize()
	s.Specs = slices.Clone(p.Specs)
	if *p.Spec != "" {
		s.Specs = []string{*p.Spec}
	}
	if *p.TimeZone != "UTC" {
		s.TimeZone = *p.TimeZone
	}
	s.ProhibitOverlap = deref(p.ProhibitOverlap)
	s.Disabled = !*p.Enabled || deref(job.Stop)
	zone, err := p.GetLocation()
	if err != nil || s.Disabled {
		return s
	}
	if next, err := p.Next(time.Now().In(zone)); err == nil {
		s.Next = next
	}
	return s
}
