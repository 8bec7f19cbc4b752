package backendtest

import (
	"context"
	"slices"
	"testing"

	"nomadctld/backends"
)

// testCapabilities checks which capability each change needs, and that it is sufficient together with read-job.
func testCapabilities(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	job, d := f.canaryDeployment(t, "p-team4-rights")
	f.Parameterized(t, "p-team4-rights-import")
	imports := f.job(t, "p-team4-rights-import")
	f.Periodic(t, "p-team4-rights-cron")
	cron := f.job(t, "p-team4-rights-cron")
	definition, err := f.Definition(ctx, job, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := runningAllocations(job)[0]
	changes := []struct {
		name, capability string
		do               func(WritableCluster) error
	}{
		{"signal", "alloc-lifecycle", func(c WritableCluster) error { return c.SignalTask(ctx, a, "web", "SIGHUP") }},
		{"restart", "alloc-lifecycle", func(c WritableCluster) error { return c.RestartTask(ctx, a, "web") }},
		{"dispatch", "dispatch-job", func(c WritableCluster) error {
			_, err := c.Dispatch(ctx, imports, map[string]string{"file": "a"}, nil)
			return err
		}},
		{"force", "dispatch-job", func(c WritableCluster) error { _, err := c.Force(ctx, cron); return err }},
		{"pause", "pause-deployment", func(c WritableCluster) error {
			_, err := c.PauseDeployment(ctx, job, d.ID)
			return err
		}},
		{"resume", "pause-deployment", func(c WritableCluster) error {
			_, err := c.ResumeDeployment(ctx, job, d.ID)
			return err
		}},
		{"promote", "promote-deployment", func(c WritableCluster) error {
			_, err := c.PromoteDeployment(ctx, job, d.ID)
			return err
		}},
		{"scale", "scale-job", func(c WritableCluster) error {
			f.waitForDeployment(t, job.ID, "successful")
			_, err := c.Scale(ctx, job, "web", 2)
			return err
		}},
		{"fail", "fail-deployment", func(c WritableCluster) error {
			f.Canary(t, "p-team4-rights", "c")
			job = f.waitForDeployment(t, "p-team4-rights", "running")
			all, err := f.Deployments(ctx, job)
			if err != nil {
				return err
			}
			_, err = c.FailDeployment(ctx, job, all[0].ID)
			return err
		}},
		{"evaluate", "evaluate-job", func(c WritableCluster) error {
			_, err := c.Evaluate(ctx, f.job(t, job.ID))
			return err
		}},
		{"revert", "revert-job", func(c WritableCluster) error { _, err := c.Revert(ctx, job, 0); return err }},
		{"register", "register-job", func(c WritableCluster) error {
			_, err := c.Register(ctx, job, definition, f.job(t, job.ID).ModifyIndex)
			return err
		}},
		{
			"check a registration", "register-job",
			func(c WritableCluster) error { return c.CheckRegister(ctx, job, definition) },
		},
		{
			"stop an allocation", "alloc-lifecycle",
			func(c WritableCluster) error { _, err := c.StopAllocation(ctx, a); return err },
		},
		{"stop", "deregister-job", func(c WritableCluster) error {
			job.ModifyIndex = 0
			_, err := c.Stop(ctx, job, false)
			return err
		}},
	}
	weak := f.Limited(t, "read-job", "list-jobs", "read-logs")
	for _, change := range changes {
		if change.name != "scale" && change.name != "fail" { // these depend on the other changes
			wantMissingCapability(t, change.name, change.do(weak), change.capability)
		}
	}
	_, err = weak.Scale(ctx, job, "web", 2)
	wantMissingCapability(t, "scale", err, "scale-job")
	_, err = weak.FailDeployment(ctx, job, d.ID)
	wantMissingCapability(t, "fail", err, "fail-deployment")
	job = f.job(t, job.ID)
	undivided := []string{"alloc-lifecycle", "dispatch-job", "scale-job"}
	for _, change := range changes {
		capability := change.capability
		if f.SubmitJobUndivided && !slices.Contains(undivided, capability) {
			capability = "submit-job"
		}
		if err := change.do(f.Limited(t, "read-job", capability)); err != nil {
			t.Errorf("%s with %s: %v", change.name, capability, err)
		}
	}

	noRead := f.Limited(t, "submit-job", "scale-job", "alloc-lifecycle")
	_, err = noRead.Stop(ctx, job, false)
	wantMissingCapability(t, "stop without read-job", err, "read-job")
	_, err = noRead.Versions(ctx, job)
	wantMissingCapability(t, "versions without read-job", err, "read-job")
	_, err = noRead.Deployments(ctx, job)
	wantMissingCapability(t, "deployments without read-job", err, "read-job")
	_, err = noRead.Job(ctx, job)
	wantMissingCapability(t, "the job without read-job", err, "read-job")
	_, err = noRead.Jobs(ctx, backends.Selection{Namespace: "default"})
	if _, ok := missingCapability(err); !ok {
		t.Errorf("a list without read-job: got %v, want a missing capability", err)
	}
}
