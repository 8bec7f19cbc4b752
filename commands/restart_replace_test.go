package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/ops"
	"nomadctld/router"
)

// definitionsCluster returns one definition of a job after another, and then repeats the last one.
type definitionsCluster struct {
	backends.Cluster
	all []string // empty: the cluster does not respond
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
		"not applied":   {[]string{original}, 0, "web was not registered with one attempt to reschedule: ", lateRequestGrace},
		"changed":       {[]string{at(4, 2)}, 0, "web was changed by someone else (now version 4)", 0},
		"changed since": {[]string{at(5, 1)}, 0, "web was changed by someone else (now version 5)", 0},
		"deleted":       {[]string{"deleted"}, 0, backends.ErrNotFound.Error(), 0},
		"no response":   {[]string{""}, 0, errRegisterUnknown.Error(), recoveryTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registry, _ := ops.Open("")
				op, err := registry.Start(ops.Job{ID: "web"}, "wim", "restart web")
				if err != nil {
					t.Fatal(err)
				}
				var r rolling
				r.job.ID, r.job.Version, r.job.ModifyIndex = "web", 3, 13
				start := time.Now()
				index, err := r.findRegistered(t.Context(), router.Operation{Op: op, Cluster: &definitionsCluster{all: tc.all}},
					json.RawMessage(original), backends.ErrOutcomeUnknown)
				took := time.Since(start)
				if index != tc.index || (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
					t.Errorf("got %d, %v, want %d, %q", index, err, tc.index, tc.want)
				}
				if errors.Is(err, errRegisterUnknown) != (name == "no response") {
					t.Errorf("got %v: it decides whether the saved definition stays", err)
				}
				if took < tc.after || took > tc.after+2*recoveryInterval {
					t.Errorf("after %s, want %s", took, tc.after)
				}
			})
		})
	}
}
