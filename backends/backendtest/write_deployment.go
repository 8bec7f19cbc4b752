package backendtest

import (
	"context"
	"testing"

	"nomadctld/backends"
)

// canaryDeployment returns a job with a deployment that waits for the promotion of its canary.
func (f WriteFixture) canaryDeployment(t *testing.T, id string) (backends.Job, backends.Deployment) {
	t.Helper()
	f.Canary(t, id, "a")
	f.waitForDeployment(t, id, "successful")
	f.Canary(t, id, "b")
	job := f.waitForDeployment(t, id, "running")
	all, err := f.Deployments(context.Background(), job)
	if err != nil || len(all) != 2 {
		t.Fatalf("got %+v, %v, want two deployments", all, err)
	}
	if all[0].Version != 1 || all[1].Version != 0 || all[1].Status != "successful" || all[0].Groups[0].Canaries != 1 ||
		all[0].Groups[0].Promoted {
		t.Errorf("got %+v, want the newest first", all)
	}
	return job, all[0]
}

func (f WriteFixture) deployment(t *testing.T, job backends.Job, id string) backends.Deployment {
	t.Helper()
	all, err := f.Deployments(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d.ID == id {
			return d
		}
	}
	t.Fatalf("deployment %s not found", id)
	return backends.Deployment{}
}

func testDeployments(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	job, d := f.canaryDeployment(t, "p-team4-rollout")
	result, err := f.PauseDeployment(ctx, job, d.ID)
	if now := f.deployment(t, job, d.ID); err != nil || result.DeploymentID != d.ID || now.Status != "paused" {
		t.Errorf("pause: got %+v, %v; it is %+v", result, err, now)
	}
	result, err = f.ResumeDeployment(ctx, job, d.ID)
	if now := f.deployment(t, job, d.ID); err != nil || result.DeploymentID != d.ID || now.Status != "running" {
		t.Errorf("resume: got %+v, %v; it is %+v", result, err, now)
	}
	result, err = f.FailDeployment(ctx, job, d.ID)
	if now := f.deployment(t, job, d.ID); err != nil || result.EvaluationID == "" || now.Status != "failed" {
		t.Errorf("fail: got %+v, %v; it is %+v", result, err, now)
	}
	for _, tc := range []struct {
		action string
		do     func(context.Context, backends.Job, string) (backends.WriteResult, error)
		reason string
	}{
		{"promote", f.PromoteDeployment, "can't promote terminal deployment"},
		{"fail", f.FailDeployment, "can't fail terminal deployment"},
		{"pause", f.PauseDeployment, "can't pause terminal deployment"},
		{"resume", f.ResumeDeployment, "can't resume terminal deployment"},
	} {
		_, err := tc.do(ctx, job, d.ID)
		wantRejected(t, tc.action+" a terminal deployment", err, tc.reason)
		_, err = tc.do(ctx, job, "00000000-0000-0000-0000-000000000000")
		wantNotFound(t, tc.action+" a missing deployment", err)
		_, err = tc.do(ctx, missingJob(job), d.ID)
		wantNotFound(t, tc.action+" another job's deployment", err)
	}
	_, err = f.Deployments(ctx, missingJob(job))
	wantNotFound(t, "deployments of a missing job", err)
}

func testPromote(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	job, d := f.canaryDeployment(t, "p-team4-canary")
	result, err := f.PromoteDeployment(ctx, job, d.ID)
	if now := f.deployment(t, job, d.ID); err != nil || result.EvaluationID == "" || result.DeploymentID != d.ID ||
		!now.Groups[0].Promoted {
		t.Errorf("got %+v, %v; it is %+v", result, err, now)
	}
	f.waitForDeployment(t, job.ID, "successful")
	eventually(t, "only the canary is running", func() bool {
		now := runningAllocations(f.job(t, job.ID))
		return len(now) == 1 && now[0].Version == 1
	})
}
