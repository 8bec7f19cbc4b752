package backendtest

import (
	"context"
	"strings"
	"testing"
)

func testVersions(t *testing.T, f WriteFixture) {
	ctx := context.Background()
	f.Scalable(t, "p-team4-history", "a")
	f.waitForDeployment(t, "p-team4-history", "successful")
	f.Scalable(t, "p-team4-history", "b")
	job := f.waitForDeployment(t, "p-team4-history", "successful")
	if _, err := f.Stop(ctx, job, false); err != nil {
		t.Fatal(err)
	}
	all, err := f.Versions(ctx, job)
	if err != nil || len(all) != 3 {
		t.Fatalf("got %+v, %v, want three", all, err)
	}
	for i, v := range all {
		if v.Number != uint64(2-i) || v.Stopped != (i == 0) || v.Submitted.IsZero() || v.Tag != "" {
			t.Errorf("version %d: got %+v", 2-i, v)
		}
		if i > 0 && v.Submitted.After(all[i-1].Submitted) {
			t.Errorf("version %d is newer than the one before it", v.Number)
		}
	}
	if !all[1].Stable || !all[2].Stable {
		t.Errorf("got %+v, want two stable versions", all)
	}
	// Stopping a job disables its scaling policies.
	for i, want := range []string{
		"Stop: false > true; web > Scaling > Enabled: true > false",
		"web > task web > Env[MODE]: a > b", "",
	} {
		var got []string
		for _, c := range all[i].Changes {
			got = append(got, c.Path+": "+c.Old+" > "+c.New)
		}
		if i == 0 && f.ScalingSurvivesStop {
			want = "Stop: false > true"
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("version %d: got %q, want %q", all[i].Number, got, want)
		}
	}
	if all[2].Changes != nil {
		t.Errorf("the oldest: got %+v, want none", all[2].Changes)
	}
	_, err = f.Versions(ctx, missingJob(job))
	wantNotFound(t, "versions of a missing job", err)
}
