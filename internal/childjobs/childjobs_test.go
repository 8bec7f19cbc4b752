package childjobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// fakeCluster is a cluster with the child jobs of the periodic job import.
type fakeCluster struct {
	backends.Cluster
	backends.ClusterWriter
	jobs     []backends.Job
	stopErr  map[string]error
	stopTime time.Duration // that a child job needs to stop
	stopping map[string]time.Time
}

func newParent(jobs ...backends.Job) *fakeCluster {
	return &fakeCluster{jobs: jobs, stopErr: map[string]error{}, stopping: map[string]time.Time{}}
}

func child(id, status string) backends.Job {
	return backends.Job{ID: id, Parent: "import", Namespace: "default", Status: status}
}

func (p *fakeCluster) Jobs(context.Context, backends.Selection) ([]backends.Job, error) {
	jobs := slices.Clone(p.jobs)
	for i, j := range jobs {
		_, jobs[i].Stopped = p.stopping[j.ID]
	}
	return jobs, nil
}

func (p *fakeCluster) Job(_ context.Context, job backends.Job) (detail backends.JobDetail, err error) {
	detail.Job = job
	if time.Since(p.stopping[job.ID]) < p.stopTime {
		detail.Allocations = []backends.Allocation{{Status: "running"}}
	}
	return detail, nil
}

func (p *fakeCluster) Stop(_ context.Context, job backends.Job, _ bool) (backends.WriteResult, error) {
	if err := p.stopErr[job.ID]; err != nil {
		return backends.WriteResult{}, err
	}
	p.stopping[job.ID] = time.Now()
	return backends.WriteResult{}, nil
}

func importJob() (job backends.JobDetail) {
	job.ID, job.Namespace, job.Periodic = "import", "default", true
	return job
}

func ids(jobs []backends.Job) (all []string) {
	for _, j := range jobs {
		all = append(all, j.ID)
	}
	return all
}

func TestRunning(t *testing.T) {
	other, otherNamespace, stopped := child("x1", "running"), child("x2", "running"), child("x3", "running")
	other.Parent, otherNamespace.Namespace, stopped.Stopped = "export", "dev", true
	p := newParent(child("1", "running"), child("2", "pending"), child("3", "dead"), other, otherNamespace)
	got, err := Running(t.Context(), p, importJob())
	if want := []string{"1", "2"}; err != nil || !slices.Equal(ids(got), want) {
		t.Errorf("got %q, %v, want %q", ids(got), err, want)
	}
	service := importJob()
	service.Periodic = false
	if got, err := Running(t.Context(), nil, service); got != nil || err != nil {
		t.Errorf("of a service: got %q, %v", ids(got), err)
	}
}

func TestStop_WaitsForChildren(t *testing.T) {
	for name, tc := range map[string]struct {
		detach bool
		took   time.Duration
	}{
		"wait": {false, 10 * time.Second}, "detach": {true, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newParent(child("1", "running"), child("2", "running"))
			p.stopTime = 10 * time.Second
			var messages []string
			start := time.Now()
			stopped, left, err := Stop(t.Context(), p, p, importJob(), tc.detach, func(format string, args ...any) {
				messages = append(messages, fmt.Sprintf(format, args...))
			})
			if stopped != 2 || len(left) > 0 || err != nil || time.Since(start) != tc.took {
				t.Errorf("%s: got %d, %q, %v after %s", name, stopped, ids(left), err, time.Since(start))
			}
			if want := []string{
				"stopping child jobs of import: 1 of 2",
				"stopping child jobs of import: 2 of 2",
			}; len(messages) <
				2 || !slices.Equal(messages[:2], want) {
				t.Errorf("%s: got %q, want %q first", name, messages, want)
			}
		})
	}
}

func TestStop_SomeFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParent(child("1", "running"), child("2", "running"), child("3", "running"))
		p.stopErr["1"], p.stopErr["2"] = errors.New("Permission denied"), backends.ErrNotFound
		stopped, left, err := Stop(t.Context(), p, p, importJob(), false, func(string, ...any) {})
		if stopped != 1 || err == nil || err.Error() != "1: Permission denied" || !slices.Equal(ids(left), []string{
			"1",
			"2",
		}) {
			t.Errorf("got %d, %q, %v", stopped, ids(left), err)
		}
	})
}

func TestStop_Interrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		p := newParent(child("1", "running"), child("2", "running"))
		p.stopTime = time.Hour
		time.AfterFunc(time.Minute, func() { cancel(cause) })
		stopped, left, err := Stop(ctx, p, p, importJob(), false, func(string, ...any) {})
		if stopped != 2 || len(left) > 0 || !errors.Is(err, cause) {
			t.Errorf("got %d, %q, %v", stopped, ids(left), err)
		}
	})
}

func TestList_AtMostTen(t *testing.T) {
	var children []backends.Job
	for n := range maxListed {
		children = append(children, child(fmt.Sprint(n), "running"))
	}
	if got := List(children); got != "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" {
		t.Errorf("got %q", got)
	}
	children = append(children, child("10", "running"), child("11", "running"))
	if got := List(children); got != "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more" {
		t.Errorf("got %q", got)
	}
	if got := CountAre(1) + " and " + CountAre(2); got != "1 child job is and 2 child jobs are" {
		t.Errorf("got %q", got)
	}
}
