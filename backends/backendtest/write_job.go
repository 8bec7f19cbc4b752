package backendtest

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"nomadctld/backends"
)

// missingJob returns a job that does not exist.
func missingJob(job backends.Job) backends.Job {
	job.ID, job.Root, job.ModifyIndex = "p-team4-nosuch", "p-team4-nosuch", 0
	return job
}

func testStop(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	f.Scalable(t, "p-team4-stop", "a")
	job := f.waitForDeployment(t, "p-team4-stop", "successful")
	if d, err := f.Job(ctx, job); err != nil || job.ModifyIndex == 0 || d.ModifyIndex != job.ModifyIndex {
		t.Errorf("got the index %d in a list and %d of the job, %v, want the same", job.ModifyIndex, d.ModifyIndex, err)
	}
	stale := job
	stale.ModifyIndex--
	_, err := f.Stop(ctx, stale, false)
	wantChanged(t, "stop", err, 0)
	if now := f.job(t, job.ID); now.Stopped || now.ModifyIndex != job.ModifyIndex {
		t.Errorf("after a rejected change: got %+v", now)
	}

	result, err := f.Stop(ctx, job, false)
	stopped := f.job(t, job.ID)
	if err != nil || result.EvaluationID == "" || result.ModifyIndex != stopped.ModifyIndex || !stopped.Stopped ||
		stopped.ModifyIndex <= job.ModifyIndex {
		t.Errorf("stop: got %+v, %v; the job is %+v", result, err, stopped)
	}
	eventually(t, "no allocation is running", func() bool { return len(runningAllocations(f.job(t, job.ID))) == 0 })

	result, err = f.Stop(ctx, stopped, true)
	if err != nil || result.EvaluationID == "" || result.ModifyIndex != 0 {
		t.Errorf("purge: got %+v, %v", result, err)
	}
	if _, err := f.Job(ctx, job); err == nil {
		t.Error("the purged job still exists")
	}
	_, err = f.Stop(ctx, stopped, false)
	wantNotFound(t, "stop a purged job", err)
}

func testRegister(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	f.Scalable(t, "p-team4-start", "a")
	job := f.waitForDeployment(t, "p-team4-start", "successful")
	if _, err := f.Stop(ctx, job, false); err != nil {
		t.Fatal(err)
	}
	stopped := f.job(t, job.ID)
	definition, err := f.Definition(ctx, stopped, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Register(ctx, stopped, definition, job.ModifyIndex)
	wantChanged(t, "register with a wrong index", err, 1)
	_, err = f.Register(ctx, stopped, definition, 0)
	wantChanged(t, "register as new", err, 1)

	result, err := f.Register(ctx, stopped, definition, stopped.ModifyIndex)
	started := f.job(t, job.ID)
	if err != nil || result.EvaluationID == "" || result.ModifyIndex != started.ModifyIndex || started.Stopped {
		t.Errorf("register: got %+v, %v; the job is %+v", result, err, started)
	}
	// Nomad does not create a version if the definition has not changed.
	if result, err := f.Register(ctx, started, definition, started.ModifyIndex); err != nil || result.EvaluationID == "" ||
		result.ModifyIndex != f.job(t, job.ID).ModifyIndex {
		t.Errorf("register unchanged: got %+v, %v", result, err)
	}
	started = f.job(t, job.ID)
	again, err := f.Definition(ctx, started, nil)
	if err != nil || !bytes.Contains(again, []byte(`"MODE":"a"`)) {
		t.Errorf("got the definition %s, %v", again, err)
	}

	if err := f.CheckRegister(ctx, started, again); err != nil || f.job(t, job.ID).ModifyIndex != started.ModifyIndex {
		t.Errorf("check a registration: got %v, the job is %+v", err, f.job(t, job.ID))
	}

	if _, err := f.Stop(ctx, started, true); err != nil {
		t.Fatal(err)
	}
	_, err = f.Register(ctx, started, definition, started.ModifyIndex)
	wantNotFound(t, "register a purged job with its index", err)
	if result, err = f.Register(ctx, started, definition, 0); err != nil ||
		result.ModifyIndex != f.job(t, job.ID).ModifyIndex {
		t.Errorf("register a purged job as new: got %+v, %v", result, err)
	}

	_, err = f.Register(ctx, missingJob(job), definition, 0)
	if err == nil {
		t.Error("the definition of another job was registered")
	}
	var fields map[string]any
	if err := json.Unmarshal(definition, &fields); err != nil {
		t.Fatal(err)
	}
	fields["Priority"] = 500
	bad, _ := json.Marshal(fields)
	_, err = f.Register(ctx, started, bad, result.ModifyIndex)
	wantRejected(t, "register an invalid definition", err, "job priority must be between [1, 100]")
	wantRejected(t, "check an invalid definition", f.CheckRegister(ctx, started, bad),
		"job priority must be between [1, 100]")
}

func testScale(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	f.Scalable(t, "p-team4-scale", "a")
	job := f.waitForDeployment(t, "p-team4-scale", "successful")
	result, err := f.Scale(ctx, job, "web", 2)
	scaled := f.job(t, job.ID)
	if err != nil || result.EvaluationID == "" || result.ModifyIndex != scaled.ModifyIndex ||
		scaled.ModifyIndex <= job.ModifyIndex {
		t.Errorf("got %+v, %v; the job is %+v", result, err, scaled)
	}
	_, err = f.Scale(ctx, job, "web", 3)
	wantChanged(t, "scale a changed job", err, 1)
	eventually(t, "two allocations are running", func() bool { return len(runningAllocations(f.job(t, job.ID))) == 2 })
	scaled = f.waitForDeployment(t, job.ID, "successful")
	d, err := f.Job(ctx, scaled)
	if err != nil || len(d.Groups) != 1 || d.Groups[0].Count != 2 || d.Groups[0].Scaling == nil ||
		*d.Groups[0].Scaling != (backends.CountRange{Min: 1, Max: 3}) {
		t.Errorf("got %+v, %v", d.Groups, err)
	}
	_, err = f.Scale(ctx, scaled, "nope", 2)
	wantRejected(t, "an unknown group", err, `task group "nope" specified for scaling does not exist in job`)
	_, err = f.Scale(ctx, scaled, "web", 4)
	wantRejected(t, "above the maximum", err, "group count was greater than scaling policy maximum: 4 > 3")
	_, err = f.Scale(ctx, scaled, "web", 0)
	wantRejected(t, "below the minimum", err, "group count was less than scaling policy minimum: 0 < 1")
	_, err = f.Scale(ctx, missingJob(job), "web", 1)
	wantNotFound(t, "scale a missing job", err)
	if now := f.job(t, job.ID); now.ModifyIndex != scaled.ModifyIndex {
		t.Errorf("rejected changes have changed the job: got the index %d, want %d", now.ModifyIndex,
			scaled.ModifyIndex)
	}
}

func testRevert(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	f.Scalable(t, "p-team4-revert", "a")
	first := f.waitForDeployment(t, "p-team4-revert", "successful")
	f.Scalable(t, "p-team4-revert", "b")
	job := f.waitForDeployment(t, "p-team4-revert", "successful")
	_, err := f.Revert(ctx, first, 0)
	wantChanged(t, "revert a changed job", err, 1)
	_, err = f.Revert(ctx, job, 1)
	wantRejected(t, "revert to the current version", err, "can't revert to current version")
	_, err = f.Revert(ctx, job, 9)
	wantRejected(t, "revert to a missing version", err,
		`job "p-team4-revert" in namespace "default" at version 9 not found`)
	_, err = f.Revert(ctx, missingJob(job), 0)
	wantNotFound(t, "revert a missing job", err)
	result, err := f.Revert(ctx, job, 0)
	now := f.job(t, job.ID)
	if err != nil || result.EvaluationID == "" || result.ModifyIndex != now.ModifyIndex {
		t.Errorf("got %+v, %v; the job is %+v", result, err, now)
	}
	if raw, err := f.Definition(ctx, now, nil); err != nil || !bytes.Contains(raw, []byte(`"MODE":"a"`)) {
		t.Errorf("got the definition %s, %v", raw, err)
	}
}
