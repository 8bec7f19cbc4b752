package backendtest

import (
	"context"
	"strings"
	"testing"
)

func testDispatch(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	f.Periodic(t, "p-team4-cron")
	job := f.job(t, "p-team4-cron")
	result, err := f.Force(ctx, job)
	if err != nil || result.EvaluationID == "" || !strings.HasPrefix(result.ChildID, job.ID+"/periodic-") {
		t.Errorf("force: got %+v, %v", result, err)
	} else if child := f.job(t, result.ChildID); child.Parent != job.ID {
		t.Errorf("got the child %+v", child)
	}
	if d, err := f.Job(ctx, job); err != nil || !d.Schedule.ProhibitOverlap {
		t.Errorf("got %+v, %v, want no overlap", d.Schedule, err)
	}
	_, err = f.Force(ctx, missingJob(job))
	wantNotFound(t, "force a missing job", err)

	f.Parameterized(t, "p-team4-import")
	job = f.job(t, "p-team4-import")
	_, err = f.Force(ctx, job)
	wantRejected(t, "force a job that is not periodic", err, "can't force launch non-periodic job")
	result, err = f.Dispatch(ctx, job, map[string]string{"file": "a b&<.csv"}, []byte("payload\n"))
	if err != nil || result.EvaluationID == "" || !strings.HasPrefix(result.ChildID, job.ID+"/dispatch-") {
		t.Errorf("dispatch: got %+v, %v", result, err)
	} else if raw, err := f.Definition(ctx, f.job(t, result.ChildID), nil); err != nil ||
		!strings.Contains(string(raw), `a b&<.csv`) && !strings.Contains(string(raw), `a b\u0026\u003c.csv`) {
		t.Errorf("got the child %s, %v", raw, err)
	}
	if next, err := f.Dispatch(ctx, job, map[string]string{"file": "b"}, nil); err != nil ||
		next.ChildID == result.ChildID {
		t.Errorf("dispatch again: got %+v, %v, want another child", next, err)
	}
	_, err = f.Dispatch(ctx, job, nil, nil)
	wantRejected(t, "a missing meta", err, "Dispatch did not provide required meta keys: [file]")
	_, err = f.Dispatch(ctx, job, map[string]string{"file": "a", "x": "y"}, nil)
	wantRejected(t, "an unknown meta", err, "Dispatch request included unpermitted metadata keys: [x]")
	_, err = f.Dispatch(ctx, missingJob(job), nil, nil)
	wantNotFound(t, "dispatch a missing job", err)
}

// testAnyJobID uses a job ID with special characters of URLs. A change must affect this job and no other one.
func testAnyJobID(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	const near, id = "p-team4-odd", "p-team4-odd/scale?purge=true#x%2F&b+c"
	f.Scalable(t, near, "a")
	beside := f.waitForDeployment(t, near, "successful")
	f.Scalable(t, id, "a")
	job := f.waitForDeployment(t, id, "successful")
	if result, err := f.Scale(ctx, job, "web", 2); err != nil || result.ModifyIndex == 0 {
		t.Fatalf("scale: got %+v, %v", result, err)
	}
	job = f.waitForDeployment(t, id, "successful")
	if v, err := f.Versions(ctx, job); err != nil || len(v) != 2 {
		t.Errorf("versions: got %+v, %v, want two", v, err)
	}
	if d, err := f.Deployments(ctx, job); err != nil || len(d) == 0 {
		t.Errorf("deployments: got %+v, %v", d, err)
	}
	if _, err := f.Revert(ctx, job, 0); err != nil {
		t.Errorf("revert: %v", err)
	}
	if _, err := f.Stop(ctx, f.job(t, id), false); err != nil {
		t.Errorf("stop: %v", err)
	}
	stopped := f.job(t, id)
	raw, err := f.Definition(ctx, stopped, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Register(ctx, stopped, raw, stopped.ModifyIndex); err != nil || f.job(t, id).Stopped {
		t.Errorf("register: %v", err)
	}
	f.Parameterized(t, id+"/import")
	if result, err := f.Dispatch(ctx, f.job(t, id+"/import"), map[string]string{"file": "a"}, nil); err != nil ||
		!strings.HasPrefix(result.ChildID, id+"/import/dispatch-") {
		t.Errorf("dispatch: got %+v, %v", result, err)
	}
	f.Periodic(t, id+"/cron")
	if result, err := f.Force(ctx, f.job(t, id+"/cron")); err != nil ||
		!strings.HasPrefix(result.ChildID, id+"/cron/periodic-") {
		t.Errorf("force: got %+v, %v", result, err)
	}
	if now := f.job(t, near); now.ModifyIndex != beside.ModifyIndex || now.Stopped {
		t.Errorf("the other job was changed: got %+v", now)
	}
}
