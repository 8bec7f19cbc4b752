package backendtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"nomadctld/backends"
)

// WritableCluster reads and changes a cluster.
type WritableCluster interface {
	backends.Cluster
	backends.ClusterWriter
}

// WriteFixture creates the jobs that ClusterWriter changes. Creating a job again makes a new version of it. The
// parameter mode is the value of a variable in the task's environment: versions differ in it. All jobs are deleted
// after the test.
type WriteFixture struct {
	WritableCluster

	// Limited returns the same cluster with a token that has only these capabilities.
	Limited func(t *testing.T, capabilities ...string) WritableCluster

	Scalable      func(t *testing.T, id, mode string) // one allocation; group and task "web"; scalable from 1 to 3
	Canary        func(t *testing.T, id, mode string) // like Scalable, without limits; new versions start with a canary
	Completed     func(t *testing.T, id string)       // a batch job whose task "run" has finished
	Periodic      func(t *testing.T, id string)       // prohibits overlap and does not run by itself
	Parameterized func(t *testing.T, id string)       // requires the meta "file"

	// ScalingSurvivesStop is true before Nomad 1.10: stopping a job leaves its scaling policies enabled.
	ScalingSurvivesStop bool
	// SubmitJobUndivided is true before Nomad 1.11.2: submit-job has no parts, such as deregister-job.
	SubmitJobUndivided bool
}

// ClusterWriter tests all changes, with jobs of its own.
func ClusterWriter(t *testing.T, f WriteFixture) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, WriteFixture){
		"stop": testStop, "register": testRegister, "scale": testScale, "revert": testRevert,
		"allocations": testAllocations, "deployments": testDeployments,
		"promotion": testPromote, "versions": testVersions, "dispatch": testDispatch,
		"capabilities": testCapabilities,
		"any job ID":   testAnyJobID,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, f)
		})
	}
}

// job returns the job with this ID, as listed.
func (f WriteFixture) job(t *testing.T, id string) backends.Job {
	t.Helper()
	jobs, err := f.Jobs(context.Background(),
		backends.Selection{Prefixes: []string{id}, Namespace: "default", IncludeHidden: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs {
		if job.ID == id {
			return job
		}
	}
	t.Fatalf("job %s not found", id)
	return backends.Job{}
}

// waitForDeployment waits until the job's latest deployment has this status and a healthy allocation, and no allocation
// is pending. It returns the job.
func (f WriteFixture) waitForDeployment(t *testing.T, id, status string) backends.Job {
	t.Helper()
	var job backends.Job
	eventually(t, id+" is "+status, func() bool {
		job = f.job(t, id)
		if job.DeploymentStatus != status {
			return false
		}
		d, err := f.Job(context.Background(), job)
		if err != nil || d.LatestDeployment == nil || d.LatestDeployment.Version != d.Version ||
			d.LatestDeployment.Status != status {
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

// runningAllocations returns the allocations that are running and not being stopped.
func runningAllocations(job backends.Job) (all []backends.Allocation) {
	for _, a := range job.Allocations {
		if a.Status == "running" && a.Desired == "run" {
			all = append(all, a)
		}
	}
	return all
}

// eventually waits until the cluster has reached a state.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// wantNotFound, wantChanged, wantRejected and wantMissingCapability check the kind of an error.
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
	var rejection *backends.RejectedError
	if !errors.As(err, &rejection) || rejection.Reason != reason {
		t.Errorf("%s: got %v, want a rejection: %s", what, err, reason)
	}
}

func wantMissingCapability(t *testing.T, what string, err error, capability string) {
	t.Helper()
	var missing *backends.MissingCapabilityError
	if !errors.As(err, &missing) || missing.Capability != capability || missing.Namespace != "default" ||
		!errors.Is(err, backends.ErrForbidden) {
		t.Errorf("%s: got %v, want a missing capability %s in default", what, err, capability)
	}
}

func missingCapability(err error) (string, bool) {
	var missing *backends.MissingCapabilityError
	if errors.As(err, &missing) {
		return missing.Capability, true
	}
	return "", false
}
