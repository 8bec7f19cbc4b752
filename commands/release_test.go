package commands

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
)

// versionOf returns a version that runs mode with a count.
func versionOf(t *testing.T, number uint64, mode string, count int, stable, stopped bool) backends.Version {
	t.Helper()
	definition := json.RawMessage(fmt.Sprintf(`{"ID":"web","Version":%d,"Stop":%v,"TaskGroups":[{"Name":"web",`+
		`"Count":%d,"Tasks":[{"Env":{"MODE":%q}}]}]}`, number, stopped, count, mode))
	release, err := backends.ReleaseOf(definition)
	if err != nil {
		t.Fatal(err)
	}
	return backends.Version{
		Number: number, Stable: stable, Stopped: stopped, CreateIndex: 1, Release: release,
		Definition: definition,
	}
}

func TestLastRelease_NewestStableThatDiffers(t *testing.T) {
	v := func(number uint64, mode string, count int, stable bool) backends.Version {
		return versionOf(t, number, mode, count, stable, false)
	}
	for name, tc := range map[string]struct {
		versions []backends.Version // newest first, starting with the current one
		want     int                // -1: none
	}{
		"a full restart": {[]backends.Version{
			v(3, "b", 1, true), versionOf(t, 2, "b", 1, true, true),
			v(1, "b", 1, true), v(0, "a", 1, true),
		}, 0},
		"scaled":         {[]backends.Version{v(2, "b", 3, true), v(1, "b", 1, true), v(0, "a", 1, true)}, 0},
		"only scaled":    {[]backends.Version{v(1, "b", 3, true), v(0, "b", 1, true)}, -1},
		"the stable one": {[]backends.Version{v(2, "c", 1, true), v(1, "b", 1, false), v(0, "a", 1, true)}, 0},
		"none is stable": {[]backends.Version{v(2, "c", 1, false), v(1, "b", 1, false), v(0, "a", 1, false)}, 1},
		"back and forth": {[]backends.Version{
			v(3, "a", 1, true), v(2, "b", 1, true), v(1, "a", 1, true),
			v(0, "c", 1, true),
		}, 2},
		"stopped with another": {[]backends.Version{v(2, "b", 1, true), versionOf(t, 1, "a", 1, true, true)}, -1},
		"alone":                {[]backends.Version{v(0, "a", 1, true)}, -1},
	} {
		got, ok := lastRelease(earlierReleases(tc.versions[0], tc.versions))
		if ok != (tc.want >= 0) || ok && got.Number != uint64(tc.want) {
			t.Errorf("%s: got %d, %v, want %d", name, got.Number, ok, tc.want)
		}
	}
}

func TestWillBeDeleted_SixUntaggedVersions(t *testing.T) {
	var versions []backends.Version
	for n := 5; n >= 0; n-- {
		versions = append(versions, backends.Version{Number: uint64(n)})
	}
	for name, tc := range map[string]struct {
		number, added int
		tagged        []int
		want          bool
	}{
		"the oldest of six":           {0, 1, nil, true},
		"the second":                  {1, 1, nil, false},
		"the second, two are added":   {1, 2, nil, true},
		"it is tagged":                {0, 2, []int{0}, false},
		"a newer one is tagged":       {0, 1, []int{3}, false},
		"a newer one is tagged, of 2": {0, 2, []int{3}, true},
	} {
		all := append([]backends.Version(nil), versions...)
		for _, n := range tc.tagged {
			all[5-n].Tag = "x"
		}
		if got := willBeDeleted(all[5-tc.number], all, tc.added); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// failedCluster is a cluster with a failed allocation. Its fields define how it responds.
type failedCluster struct {
	fakeCluster
	detail     func() backends.JobDetail
	definition json.RawMessage
	evaluate   error
	registered []string
	refuse     int   // number of the first registration that is rejected; 0: none
	refusal    error // the error of rejected registrations; nil: a ChangedError
}

func (f *failedCluster) Job(context.Context, backends.Job) (backends.JobDetail, error) {
	return f.detail(), nil
}

func (f *failedCluster) Definition(context.Context, backends.Job, *uint64) (json.RawMessage, error) {
	return f.definition, nil
}

func (f *failedCluster) Evaluate(context.Context, backends.Job) (backends.WriteResult, error) {
	return backends.WriteResult{EvaluationID: "e1"}, f.evaluate
}

func (f *failedCluster) Register(
	_ context.Context, _ backends.Job, definition json.RawMessage, index uint64,
) (backends.WriteResult, error) {
	if f.refuse > 0 && len(f.registered)+1 >= f.refuse {
		return backends.WriteResult{}, cmp.Or[error](f.refusal, &backends.ChangedError{Job: "web", Version: 9})
	}
	f.registered = append(f.registered, string(definition))
	return backends.WriteResult{ModifyIndex: index + 1}, nil
}

func failedJob(index uint64, others ...backends.Allocation) backends.JobDetail {
	var job backends.JobDetail
	job.ID, job.Type, job.ModifyIndex = "web", "service", index
	job.Groups = []backends.Group{{Name: "web", Count: 1}}
	job.Allocations = append([]backends.Allocation{{
		ID: "a1a1a1a1", JobID: "web", Name: "web.web[0]", Group: "web",
		Status: "failed", Desired: "run", Created: time.Unix(1, 0),
	}}, others...)
	return job
}

func TestWaitUntilReplaced_NothingReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := failedJob(7)
		f := &failedCluster{detail: func() backends.JobDetail { return job }}
		start := time.Now()
		_, err := waitUntilReplaced(t.Context(), f, job, job.Allocations, backends.WriteResult{EvaluationID: "e1"},
			func(string, ...any) {})
		if err == nil || err.Error() != "Nomad evaluated web but did not replace: web[0] a1a1a1a1 (see: info web)" ||
			time.Since(start) < idleGrace {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
}

func TestWaitUntilReplaced_RunsOrFails(t *testing.T) {
	next := backends.Allocation{
		ID: "b2b2b2b2", JobID: "web", Name: "web.web[0]", Group: "web", Desired: "run",
		Created: time.Unix(2, 0),
	}
	for status, want := range map[string]string{
		"running": "",
		"failed":  "allocation b2b2b2b2, which replaces a1a1a1a1, is failed",
		"lost":    "allocation b2b2b2b2, which replaces a1a1a1a1, is lost",
	} {
		synctest.Test(t, func(t *testing.T) {
			job := failedJob(7)
			f := &failedCluster{detail: func() backends.JobDetail {
				a := next
				if f := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); f > 3*time.Second {
					a.Status = status
				} else {
					a.Status = "pending"
				}
				return failedJob(7, a)
			}}
			back, err := waitUntilReplaced(t.Context(), f, job, job.Allocations, backends.WriteResult{}, func(string, ...any) {})
			if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) ||
				err == nil && (len(back) != 1 || back[0].ID != next.ID) {
				t.Errorf("%s: got %+v, %v", status, back, err)
			}
		})
	}
	changed := failedJob(8)
	f := &failedCluster{detail: func() backends.JobDetail { return changed }}
	if _, err := waitUntilReplaced(t.Context(), f, failedJob(7), changed.Allocations, backends.WriteResult{},
		func(string, ...any) {}); err == nil || !strings.Contains(err.Error(), "was changed by someone else") {
		t.Errorf("got %v", err)
	}
}

func TestAllowRescheduling_RestoresJob(t *testing.T) {
	definition := `{"ID":"web","JobModifyIndex":7,"TaskGroups":[{"Name":"web","Count":1,` +
		`"ReschedulePolicy":{"Attempts":0}}]}`
	for name, tc := range map[string]struct {
		replaced error
		refuse   int
		refusal  error
		want     string
		saved    bool // whether the definition stays saved
	}{
		"replaced":       {nil, 0, nil, "", false},
		"not replaced":   {errPermission, 0, nil, "Permission denied", false},
		"purged":         {backends.ErrNotFound, 0, nil, backends.ErrNotFound.Error(), false},
		"first rejected": {nil, 1, nil, "web was changed by someone else", false},
		"second rejected": {
			nil, 2, nil,
			"web was registered with one attempt to reschedule in group web, and could not be restored: ", false,
		},
		"second rejected, not replaced": {
			errPermission, 2, nil, "Permission denied\nweb was registered with one attempt",
			false,
		},
		"no leader": {
			nil, 2, errNoLeader,
			"web is registered with one attempt to reschedule in group web, and could not be restored: No cluster leader " +
				"(see: history web; restore it: ops ", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				job := failedJob(7)
				f := &failedCluster{
					definition: json.RawMessage(definition), refuse: tc.refuse, refusal: tc.refusal,
					detail: func() backends.JobDetail {
						is := failedJob(9)
						is.Groups[0].Count, is.Allocations = 0, nil
						return is
					},
				}
				w := f.work(t)
				w.Cluster, w.Writer = f, f
				r := &rolling{job: job, unreschedulable: job.Allocations, timeout: time.Minute}
				index := uint64(0)
				err := r.allowRescheduling(t.Context(), w, func(job backends.JobDetail) error {
					index = job.ModifyIndex
					if _, err := os.Stat(w.DefinitionPath()); err != nil {
						t.Errorf("the definition is not saved: %v", err)
					}
					return tc.replaced
				})
				if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if tc.refuse != 1 && index != 8 {
					t.Errorf("evaluated with index %d, want that of the registration", index)
				}
				if _, err := os.Stat(w.DefinitionPath()); (err == nil) != tc.saved {
					t.Errorf("saved: got %v, want %v", err == nil, tc.saved)
				}
				if tc.replaced == backends.ErrNotFound && len(f.registered) != 1 {
					t.Errorf("registered a job that was purged: %q", f.registered)
				}
				if tc.refuse == 0 && tc.replaced != backends.ErrNotFound &&
					(len(f.registered) != 2 || !strings.Contains(f.registered[0], `"Attempts":1`) || f.registered[1] != definition) {
					t.Errorf("registered %q", f.registered)
				}
			})
		})
	}
}

func TestCheckReplaced(t *testing.T) {
	job := failedJob(7)
	if err := checkReplaced(job, ""); err == nil ||
		!strings.Contains(err.Error(), "Nomad does not replace 1 failed allocation: web[0] a1a1a1a1") {
		t.Errorf("got %v", err)
	}
	if err := checkReplaced(job, "db"); err != nil {
		t.Errorf("of another group: got %v", err)
	}
	job.Evaluations = []backends.Evaluation{{Status: "pending"}}
	if err := checkReplaced(job, ""); err != nil {
		t.Errorf("pending evaluation: got %v", err)
	}
	replaced := failedJob(7, backends.Allocation{
		ID: "b2", JobID: "web", Name: "web.web[0]", Group: "web",
		Status: "running", Desired: "run", Created: time.Unix(2, 0),
	})
	if err := checkReplaced(replaced, ""); err != nil {
		t.Errorf("replaced: got %v", err)
	}
	awaited := failedJob(7)
	awaited.Allocations[0].ReschedulePending = true
	if err := checkReplaced(awaited, ""); err != nil {
		t.Errorf("reschedule pending: got %v", err)
	}
}

func TestMissingAllocations_OnlyIfIdle(t *testing.T) {
	running := backends.Allocation{
		ID: "b2", JobID: "web", Name: "web.web[1]", Group: "web", Status: "running",
		Desired: "run", Created: time.Unix(2, 0),
	}
	unknown := running
	unknown.Status = "unknown"
	lost := running
	lost.Status = "lost"
	for name, tc := range map[string]struct {
		change func(*backends.JobDetail)
		group  string
		want   int
	}{
		"one is missing":   {func(*backends.JobDetail) {}, "", 1},
		"of another group": {func(*backends.JobDetail) {}, "db", 0},
		"none is missing":  {func(j *backends.JobDetail) { j.Groups[0].Count = 2 }, "", 0},
		"an evaluation is pending": {func(j *backends.JobDetail) {
			j.Evaluations = []backends.Evaluation{{Status: "pending"}}
		}, "", 0},
		"one cannot be placed": {
			func(j *backends.JobDetail) { j.Unplaced = []backends.UnplacedGroup{{Group: "web"}} },
			"", 0,
		},
		"a system job":                  {func(j *backends.JobDetail) { j.Type = "system" }, "", 0},
		"one is on a disconnected node": {func(j *backends.JobDetail) { j.Allocations[1] = unknown }, "", 0},
		"another is lost":               {func(j *backends.JobDetail) { j.Allocations[1] = lost }, "", 2},
	} {
		job := failedJob(7, running) // the failed allocation counts too
		job.Groups[0].Count = 3
		tc.change(&job)
		if got := missingAllocations(job, tc.group); got["web"] != tc.want || tc.want == 0 && len(got) > 0 {
			t.Errorf("%s: got %v, want %d", name, got, tc.want)
		}
	}
}
