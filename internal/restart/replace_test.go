package restart

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/ops"
)

// definitionsCluster returns one definition of a job after another, and then repeats the last one.
type definitionsCluster struct {
	backends.Cluster
	all []string // "": the cluster does not respond; "deleted": the job is not found
}

func (d *definitionsCluster) Definition(context.Context, backends.Job, *uint64) (json.RawMessage, error) {
	text := d.all[0]
	if len(d.all) > 1 {
		d.all = d.all[1:]
	}
	switch text {
	case "":
		return nil, errNoLeader
	case "deleted":
		return nil, backends.ErrNotFound
	}
	return json.RawMessage(text), nil
}

func TestFindRegistered_ResponseLost(t *testing.T) {
	at := func(version uint64, attempts int) string {
		return fmt.Sprintf(`{"ID":"web","Version":%d,"JobModifyIndex":%d,"TaskGroups":[{"Name":"g",`+
			`"ReschedulePolicy":{"Attempts":%d,"Interval":3600000000000,"Delay":5000000000,"DelayFunction":"constant",`+
			`"MaxDelay":0,"Unlimited":false}}]}`,
			version, version+10, attempts)
	}
	original := at(3, 0)
	for name, tc := range map[string]struct {
		all   []string
		index uint64
		want  string // of the error
		after time.Duration
	}{
		"applied":       {[]string{at(4, 1)}, 14, "", 0},
		"applied late":  {[]string{original, "", at(4, 1)}, 14, "", 2 * recoveryInterval},
		"not applied":   {[]string{original}, 0, "web was not registered with one reschedule attempt: ", lateRequestGrace},
		"changed":       {[]string{at(4, 2)}, 0, "web was changed by somebody else and is now at version 4", 0},
		"changed since": {[]string{at(5, 1)}, 0, "web was changed by somebody else and is now at version 5", 0},
		"deleted":       {[]string{"deleted"}, 0, backends.ErrNotFound.Error(), 0},
		"no response":   {[]string{""}, 0, errRegisterUnknown.Error(), recoveryTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registry, _ := ops.Open("")
				op, err := registry.Start(backends.JobRef{ID: "web"}, "wim", "restart web")
				if err != nil {
					t.Fatal(err)
				}
				var r Rolling
				r.Job.ID, r.Job.Version, r.Job.ModifyIndex = "web", 3, 13
				start := time.Now()
				index, err := r.findRegistered(t.Context(), ops.Operation{Op: op, Cluster: &definitionsCluster{all: tc.all}},
					json.RawMessage(original), backends.ErrOutcomeUnknown)
				took := time.Since(start)
				if index != tc.index || (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
					t.Errorf("got %d, %v, want %d, %q", index, err, tc.index, tc.want)
				}
				if errors.Is(err, errRegisterUnknown) != (name == "no response") {
					t.Errorf("got %v: errRegisterUnknown decides whether the saved definition stays", err)
				}
				if took < tc.after || took > tc.after+2*recoveryInterval {
					t.Errorf("after %s, want %s", took, tc.after)
				}
			})
		})
	}
}

// failedCluster is a cluster with a failed allocation. Its fields define how it responds.
type failedCluster struct {
	fakeCluster
	detail     func() backends.JobDetail
	definition json.RawMessage
	evaluate   error
	registered []string
	rejectFrom int   // number of the first registration that is rejected; 0: none
	rejection  error // the error of rejected registrations; nil: a ChangedError
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
	if f.rejectFrom > 0 && len(f.registered)+1 >= f.rejectFrom {
		return backends.WriteResult{}, cmp.Or[error](f.rejection, &backends.ChangedError{Job: "web", Version: 9})
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

func TestAllowRescheduling_RestoresJob(t *testing.T) {
	definition := `{"ID":"web","JobModifyIndex":7,"TaskGroups":[{"Name":"web","Count":1,` +
		`"ReschedulePolicy":{"Attempts":0}}]}`
	for name, tc := range map[string]struct {
		replaced   error
		rejectFrom int
		rejection  error
		want       string
		saved      bool // whether the definition stays saved
	}{
		"replaced":       {nil, 0, nil, "", false},
		"not replaced":   {errPermission, 0, nil, "Permission denied", false},
		"purged":         {backends.ErrNotFound, 0, nil, backends.ErrNotFound.Error(), false},
		"first rejected": {nil, 1, nil, "web was changed by somebody else", false},
		"second rejected": {
			nil, 2, nil,
			"web was registered with one reschedule attempt in group web, and could not be restored: ", false,
		},
		"second rejected, not replaced": {
			errPermission, 2, nil, "Permission denied\nweb was registered with one reschedule attempt",
			false,
		},
		"no leader": {
			nil, 2, errNoLeader,
			"web is registered with one reschedule attempt in group web, and could not be restored: No cluster leader " +
				"(see: history web; restore it: ops ", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				job := failedJob(7)
				f := &failedCluster{
					definition: json.RawMessage(definition), rejectFrom: tc.rejectFrom, rejection: tc.rejection,
					detail: func() backends.JobDetail {
						is := failedJob(9)
						is.Groups[0].Count, is.Allocations = 0, nil
						return is
					},
				}
				w := f.operation(t)
				w.Cluster, w.Writer = f, f
				r := &Rolling{Plan: Plan{Job: job, Unreschedulable: job.Allocations}, Timeout: time.Minute}
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
				if tc.rejectFrom != 1 && index != 8 {
					t.Errorf("evaluated with index %d, want that of the registration", index)
				}
				if _, err := os.Stat(w.DefinitionPath()); (err == nil) != tc.saved {
					t.Errorf("saved: got %v, want %v", err == nil, tc.saved)
				}
				if tc.replaced == backends.ErrNotFound && len(f.registered) != 1 {
					t.Errorf("registered a job that was purged: %q", f.registered)
				}
				if tc.rejectFrom == 0 && tc.replaced != backends.ErrNotFound &&
					(len(f.registered) != 2 || !strings.Contains(f.registered[0], `"Attempts":1`) || f.registered[1] != definition) {
					t.Errorf("registered %q", f.registered)
				}
			})
		})
	}
}
