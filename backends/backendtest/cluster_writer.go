package backendtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"nomadctld/backends"
)

// Operator is a cluster whose jobs can be changed.
type Operator interface {
	backends.Cluster
	backends.ClusterWriter
}

// Ground is what Operations are tried on. A job that is run again is a new version of it; all are gone after the test.
type Ground struct {
	Operator

	// Limited is the same cluster with a token that has no more than these capabilities.
	Limited func(t *testing.T, capabilities ...string) Operator

	Scalable      func(t *testing.T, id, mode string) // a service of one allocation; group and task "web"; 1 to 3 of them
	Canary        func(t *testing.T, id, mode string) // the same, without limits; new versions begin with a canary
	Ended         func(t *testing.T, id string)       // a batch job that has run its task "run"
	Periodic      func(t *testing.T, id string)       // does not overlap and does not launch by itself
	Parameterized func(t *testing.T, id string)       // requires the meta "file"

	// ScalesStopped: the cluster leaves the scaling policies of a stopped job on, as Nomad 1.6 does.
	ScalesStopped bool
}

// Operations tests all that changes jobs, on jobs of its own.
func Operations(t *testing.T, g Ground) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Ground){
		"stop": stops, "register": registers, "scale": scales, "revert": reverts, "allocations": allocations, "deployments": deployments,
		"promotion": promotes, "versions": versions, "launches": launches, "rights": rights, "any job ID": anyID,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, g)
		})
	}
}

// job returns the job as a listing has it.
func (g Ground) job(t *testing.T, id string) backends.Job {
	t.Helper()
	jobs, err := g.Jobs(context.Background(), backends.Selection{Prefixes: []string{id}, Namespace: "default", IncludeHidden: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs {
		if job.ID == id {
			return job
		}
	}
	t.Fatalf("no job %s", id)
	return backends.Job{}
}

// settled waits until the latest deployment of the job is in a status, with its allocation healthy, and returns the job.
func (g Ground) settled(t *testing.T, id, status string) backends.Job {
	t.Helper()
	var job backends.Job
	eventually(t, id+" is "+status, func() bool {
		job = g.job(t, id)
		if job.DeploymentStatus != status {
			return false
		}
		d, err := g.Job(context.Background(), job)
		if err != nil || d.LatestDeployment == nil || d.LatestDeployment.Version != d.Version || d.LatestDeployment.Status != status {
			return false
		}
		for _, a := range job.Allocations {
			if a.Status == "pending" {
				return false
			}
		}
		return d.LatestDeployment.Groups[0].Healthy > 0
	})
	return job
}

// alive returns the allocations that are meant to run.
func alive(job backends.Job) (all []backends.Allocation) {
	for _, a := range job.Allocations {
		if a.Status == "running" && a.Desired == "run" {
			all = append(all, a)
		}
	}
	return all
}

// eventually waits for what the cluster does by itself.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// wantGone, wantChanged, wantRefused and wantRight check for one kind of error.
func wantGone(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, backends.ErrNotFound) {
		t.Errorf("%s: got %v, want %v", what, err, backends.ErrNotFound)
	}
}

func wantChanged(t *testing.T, what string, err error, version uint64) {
	t.Helper()
	var changed *backends.ChangedError
	if !errors.As(err, &changed) || changed.Version != version {
		t.Errorf("%s: got %v, want a ChangedError with version %d", what, err, version)
	}
}

func wantRefused(t *testing.T, what string, err error, reason string) {
	t.Helper()
	var refused *backends.RejectedError
	if !errors.As(err, &refused) || refused.Reason != reason {
		t.Errorf("%s: got %v, want it refused: %s", what, err, reason)
	}
}

func wantRight(t *testing.T, what string, err error, capability string) {
	t.Helper()
	var missing *backends.MissingCapabilityError
	if !errors.As(err, &missing) || missing.Capability != capability || missing.Namespace != "default" || !errors.Is(err, backends.ErrForbidden) {
		t.Errorf("%s: got %v, want that %s is missing in default", what, err, capability)
	}
}

func missingRight(err error) (string, bool) {
	var missing *backends.MissingCapabilityError
	if errors.As(err, &missing) {
		return missing.Capability, true
	}
	return "", false
}
