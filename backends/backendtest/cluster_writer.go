package backendtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"nomadctld/backends"
)

// WritableCluster is a cluster whose jobs can be changed.
type WritableCluster interface {
	backends.Cluster
	backends.ClusterWriter
}

// Fixture is what Operations are tried on. A job that is run again is a new version of it; all are gone after the test.
type Fixture struct {
	WritableCluster

	// Limited is the same cluster with a token that has no more than these capabilities.
	Limited func(t *testing.T, capabilities ...string) WritableCluster

	Scalable      func(t *testing.T, id, mode string) // a service of one allocation; group and task "web"; 1 to 3 of them
	Canary        func(t *testing.T, id, mode string) // the same, without limits; new versions begin with a canary
	Completed     func(t *testing.T, id string)       // a batch job that has run its task "run"
	Periodic      func(t *testing.T, id string)       // does not overlap and does not launch by itself
	Parameterized func(t *testing.T, id string)       // requires the meta "file"

	// ScalesStopped: the cluster leaves the scaling policies of a stopped job on, as Nomad 1.6 does.
	ScalesStopped bool
}

// ClusterWriter tests all that changes jobs, on jobs of its own.
func ClusterWriter(t *testing.T, g Fixture) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Fixture){
		"stop": testStop, "register": testRegister, "scale": testScale, "revert": testRevert, "allocations": testAllocations, "deployments": testDeployments,
		"promotion": testPromote, "versions": testVersions, "launches": testDispatch, "rights": testCapabilities, "any job ID": testAnyJobID,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, g)
		})
	}
}

// job returns the job as a listing has it.
func (g Fixture) job(t *testing.T, id string) backends.Job {
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

// waitForDeployment waits until the latest deployment of the job is in a status, with its allocation healthy, and returns the job.
func (g Fixture) waitForDeployment(t *testing.T, id, status string) backends.Job {
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

// runningAllocations returns the allocations that are meant to run.
func runningAllocations(job backends.Job) (all []backends.Allocation) {
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

// wantNotFound, wantChanged, wantRejected and wantMissingCapability check for one kind of error.
func wantNotFound(t *testing.T, what string, err error) {
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

func wantRejected(t *testing.T, what string, err error, reason string) {
	t.Helper()
	var refused *backends.RejectedError
	if !errors.As(err, &refused) || refused.Reason != reason {
		t.Errorf("%s: got %v, want it refused: %s", what, err, reason)
	}
}

func wantMissingCapability(t *testing.T, what string, err error, capability string) {
	t.Helper()
	var missing *backends.MissingCapabilityError
	if !errors.As(err, &missing) || missing.Capability != capability || missing.Namespace != "default" || !errors.Is(err, backends.ErrForbidden) {
		t.Errorf("%s: got %v, want that %s is missing in default", what, err, capability)
	}
}

func missingCapability(err error) (string, bool) {
	var missing *backends.MissingCapabilityError
	if errors.As(err, &missing) {
		return missing.Capability, true
	}
	return "", false
}
