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

func testStop(t *testing.T, g Fixture) {
	ctx := context.Background()
	g.Scalable(t, "p-team4-stop", "a")
	job := g.waitForDeployment(t, "p-team4-stop", "successful")
	if d, err := g.Job(ctx, job); err != nil || job.ModifyIndex == 0 || d.ModifyIndex != job.ModifyIndex {
		t.Errorf("got the index %d in a list and %d of the job, %v, want the same", job.ModifyIndex, d.ModifyIndex, err)
	}
	stale := job
	stale.ModifyIndex--
	_, err := g.Stop(ctx, stale, false)
	wantChanged(t, "stop", err, 0)
	if now := g.job(t, job.ID); now.Stopped || now.ModifyIndex != job.ModifyIndex {
		t.Errorf("after a rejected change: got %+v", now)
	}

	o, err := g.Stop(ctx, job, false)
	stopped := g.job(t, job.ID)
	if err != nil || o.EvaluationID == "" || o.ModifyIndex != stopped.ModifyIndex || !stopped.Stopped ||
		stopped.ModifyIndex <= job.ModifyIndex {
		t.Errorf("stop: got %+v, %v; the job is %+v", o, err, stopped)
	}
	eventually(t, "no allocation is running", func() bool { return len(runningAllocations(g.job(t, job.ID))) == 0 })

	o, err = g.Stop(ctx, stopped, true)
	if err != nil || o.EvaluationID == "" || o.ModifyIndex != 0 {
		t.Errorf("purge: got %+v, %v", o, err)
	}
	if _, err := g.Job(ctx, job); err == nil {
		t.Error("the purged job still exists")
	}
	_, err = g.Stop(ctx, stopped, false)
	wantNotFound(t, "stop a purged job", err)
}

func testRegister(t *testing.T, g Fixture) {
	ctx := context.Background()
	g.Scalable(t, "p-team4-start", "a")
	job := g.waitForDeployment(t, "p-team4-start", "successful")
	if _, err := g.Stop(ctx, job, false); err != nil {
		t.Fatal(err)
	}
	stopped := g.job(t, job.ID)
	definition, err := g.Definition(ctx, stopped, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Register(ctx, stopped, definition, job.ModifyIndex)
	wantChanged(t, "register with a wrong index", err, 1)
	_, err = g.Register(ctx, stopped, definition, 0)
	wantChanged(t, "register as new", err, 1)

	o, err := g.Register(ctx, stopped, definition, stopped.ModifyIndex)
	started := g.job(t, job.ID)
	if err != nil || o.EvaluationID == "" || o.ModifyIndex != started.ModifyIndex || started.Stopped {
		t.Errorf("register: got %+v, %v; the job is %+v", o, err, started)
	}
	// Nomad does not create a version if the definition has not changed.
	if o, err := g.Register(ctx, started, definition, started.ModifyIndex); err != nil || o.EvaluationID == "" ||
		o.ModifyIndex != g.job(t, job.ID).ModifyIndex {
		t.Errorf("register unchanged: got %+v, %v", o, err)
	}
	started = g.job(t, job.ID)
	again, err := g.Definition(ctx, started, nil)
	if err != nil || !bytes.Contains(again, []byte(`"MODE":"a"`)) {
		t.Errorf("got the definition %s, %v", again, err)
	}

	if err := g.CheckRegister(ctx, started, again); err != nil || g.job(t, job.ID).ModifyIndex != started.ModifyIndex {
		t.Errorf("check a registration: got %v, the job is %+v", err, g.job(t, job.ID))
	}

	if _, err := g.Stop(ctx, started, true); err != nil {
		t.Fatal(err)
	}
	_, err = g.Register(ctx, started, definition, started.ModifyIndex)
	wantNotFound(t, "register a purged job with its index", err)
	if o, err = g.Register(ctx, started, definition, 0); err != nil || o.ModifyIndex != g.job(t, job.ID).ModifyIndex {
		t.Errorf("register a purged job as new: got %+v, %v", o, err)
	}

	_, err = g.Register(ctx, missingJob(job), definition, 0)
	if err == nil {
		t.Error("the definition of another job was registered")
	}
	var fields map[string]any
	if err := json.Unmarshal(definition, &fields); err != nil {
		t.Fatal(err)
	}
	fields["Priority"] = 500
	bad, _ := json.Marshal(fields)
	_, err = g.Register(ctx, started, bad, o.ModifyIndex)
	wantRejected(t, "register an invalid definition", err, "job priority must be between [1, 100]")
	wantRejected(t, "check an invalid definition", g.CheckRegister(ctx, started, bad),
		"job priority must be between [1, 100]")
}

func testScale(t *testing.T, g Fixture) {
	ctx := context.Background()
	g.Scalable(t, "p-team4-scale", "a")
	job := g.waitForDeployment(t, "p-team4-scale", "successful")
	o, err := g.Scale(ctx, job, "web", 2)
	scaled := g.job(t, job.ID)
	if err != nil || o.EvaluationID == "" || o.ModifyIndex != scaled.ModifyIndex || scaled.ModifyIndex <= job.ModifyIndex {
		t.Errorf("got %+v, %v; the job is %+v", o, err, scaled)
	}
	_, err = g.Scale(ctx, job, "web", 3)
	wantChanged(t, "scale a changed job", err, 1)
	eventually(t, "two allocations are running", func() bool { return len(runningAllocations(g.job(t, job.ID))) == 2 })
	scaled = g.waitForDeployment(t, job.ID, "successful")
	d, err := g.Job(ctx, scaled)
	if err != nil || len(d.Groups) != 1 || d.Groups[0].Count != 2 || d.Groups[0].Scaling == nil ||
		*d.Groups[0].Scaling != (backends.Scaling{Min: 1, Max: 3}) {
		t.Errorf("got %+v, %v", d.Groups, err)
	}
	_, err = g.Scale(ctx, scaled, "nope", 2)
	wantRejected(t, "an unknown group", err, `task group "nope" specified for scaling does not exist in job`)
	_, err = g.Scale(ctx, scaled, "web", 4)
	wantRejected(t, "above the maximum", err, "group count was greater than scaling policy maximum: 4 > 3")
	_, err = g.Scale(ctx, scaled, "web", 0)
	wantRejected(t, "below the minimum", err, "group count was less than scaling policy minimum: 0 < 1")
	_, err = g.Scale(ctx, missingJob(job), "web", 1)
	wantNotFound(t, "scale a missing job", err)
	if now := g.job(t, job.ID); now.ModifyIndex != scaled.ModifyIndex {
		t.Errorf("rejected changes have changed the job: got the index %d, want %d", now.ModifyIndex,
			scaled.ModifyIndex)
	}
}

func testRevert(t *testing.T, g Fixture) {
	ctx := context.Background()
	g.Scalable(t, "p-team4-revert", "a")
	first := g.waitForDeployment(t, "p-team4-revert", "successful")
	g.Scalable(t, "p-team4-revert", "b")
	job := g.waitForDeployment(t, "p-team4-revert", "successful")
	_, err := g.Revert(ctx, first, 0)
	wantChanged(t, "revert a changed job", err, 1)
	_, err = g.Revert(ctx, job, 1)
	wantRejected(t, "revert to the current version", err, "can't revert to current version")
	_, err = g.Revert(ctx, job, 9)
	wantRejected(t, "revert to a missing version", err,
		`job "p-team4-revert" in namespace "default" at version 9 not found`)
	_, err = g.Revert(ctx, missingJob(job), 0)
	wantNotFound(t, "revert a missing job", err)
	o, err := g.Revert(ctx, job, 0)
	now := g.job(t, job.ID)
	if err != nil || o.EvaluationID == "" || o.ModifyIndex != now.ModifyIndex {
		t.Errorf("got %+v, %v; the job is %+v", o, err, now)
	}
	if raw, err := g.Definition(ctx, now, nil); err != nil || !bytes.Contains(raw, []byte(`"MODE":"a"`)) {
		t.Errorf("got the definition %s, %v", raw, err)
	}
}
