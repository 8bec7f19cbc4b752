package e2e

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// TestRestartFull_JobStoppedAgain registers and stops the job again while the restart waits for it to stop.
func TestRestartFull_JobStoppedAgain(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	client := registerAndSettle(t, cluster, "three", "p-team5-again", "a")
	cluster.Sim.Inject(nomadsim.Failure{Method: "GET", Path: "/v1/job/p-team5-again", Delay: 3 * time.Second})
	before := len(cluster.Sim.Writes())
	cmd := g.SSH("wim", "restart --full -y p-team5-again")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the job is stopped", func() bool {
		return slices.ContainsFunc(cluster.Sim.Writes()[before:],
			func(w nomadsim.Write) bool { return w.Method == "DELETE" && w.Applied })
	})
	if _, _, err := client.Jobs().Register(scriptJobs["three"]("p-team5-again", "b"), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Jobs().Deregister("p-team5-again", false, nil); err != nil {
		t.Fatal(err)
	}
	const want = "nomadctld: p-team5-again stays stopped, because somebody else stopped it too during this restart " +
		"(bring it back: start p-team5-again)\n"
	if err := cmd.Wait(); err == nil || !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("got %v, %q, want %q", err, &stderr, want)
	}
	if now, _, err := client.Jobs().Info("p-team5-again", nil); err != nil || !*now.Stop {
		t.Errorf("the job is not stopped: %v", err)
	}
}

// TestRestartFull_JobStoppedElsewhere: a job that another user stopped stays stopped. Nomad has also disabled its
// scaling policies.
func TestRestartFull_JobStoppedElsewhere(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	client := registerAndSettle(t, cluster, "three", "p-team5-elsewhere", "a")
	c := runUntil(t, g, "restart --full p-team5-elsewhere", "3 running allocations? [y/N] ")
	if _, _, err := client.Jobs().Deregister("p-team5-elsewhere", false, nil); err != nil {
		t.Fatal(err)
	}
	c.send("y")
	if code, rest := c.waitExit(); code != 1 || !strings.Contains(rest,
		"p-team5-elsewhere was changed by somebody else and is now at version 1; nothing was done") {
		t.Errorf("got %d and %q, want that it was changed", code, rest)
	}
	if now, _, err := client.Jobs().Info("p-team5-elsewhere", nil); err != nil || !*now.Stop {
		t.Errorf("the job is not stopped: %v", err)
	}
}

func TestRestartFull_BlocksOtherCommands(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	client := registerAndSettle(t, cluster, "three", "p-team5-twice", "a")
	// The first request checks whether the job can be registered. It is meant to fail.
	cluster.Sim.Inject(nomadsim.Failure{
		Method: "PUT", Path: "/v1/jobs", Status: 500, Times: 1,
		Body: "Enforcing job modify index 1: job exists with conflicting job modify index: 2",
	})
	cluster.Sim.Inject(nomadsim.Failure{Method: "PUT", Path: "/v1/jobs", Status: 500, Body: "No cluster leader"})
	first := g.SSH("wim", "restart --full -y p-team5-twice")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the job is stopped", func() bool {
		job, _, err := client.Jobs().Info("p-team5-twice", nil)
		return err == nil && *job.Stop
	})
	for _, line := range []string{"restart p-team5-twice", "start p-team5-twice", "stop p-team5-twice"} {
		if code, _, stderr := g.Run("wim", line); code != 1 ||
			!strings.HasPrefix(stderr, "nomadctld: p-team5-twice is busy: operation ") {
			t.Errorf("%s: got %d, %q, want that the job is locked", line, code, stderr)
		}
	}
	cluster.Sim.ClearFailures()
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
}

// TestRestartFull_RegistersSameJob compares the request to Nomad with the original job.
func TestRestartFull_RegistersSameJob(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	client := registerAndSettle(t, cluster, "groups", "p-team5-exact", "a <&> \u00e9")
	var before any
	if _, err := client.Raw().Query("/v1/job/p-team5-exact", &before, nil); err != nil {
		t.Fatal(err)
	}
	cluster.Sim.ForgetWrites()
	if out, err := g.SSH("wim", "restart --full -y p-team5-exact").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var stops, registrations []nomadsim.Write
	for i, w := range cluster.Sim.Writes() {
		switch {
		case w.Method == "DELETE":
			stops = append(stops, w)
		case w.Path == "/v1/jobs" && w.Applied:
			registrations = append(registrations, w)
			if len(stops) != 1 {
				t.Errorf("request %d registers the job before the stop", i)
			}
		case w.Applied:
			t.Errorf("got %+v, want nothing else", w)
		}
	}
	if len(stops) != 1 || len(registrations) != 1 || stops[0].Path != "/v1/job/p-team5-exact" ||
		strings.Contains(stops[0].Query, "purge=true") {
		t.Fatalf("got the stops %+v and %d registrations, want one of each and no purge", stops, len(registrations))
	}
	var sent struct {
		Job            any
		EnforceIndex   bool
		JobModifyIndex uint64
	}
	if err := json.Unmarshal(registrations[0].Body, &sent); err != nil {
		t.Fatal(err)
	}
	versions, _, _, err := client.Jobs().Versions("p-team5-exact", false, nil)
	if err != nil || len(versions) != 3 || !*versions[1].Stop {
		t.Fatalf("got %d versions, %v, want the stop as the second", len(versions), err)
	}
	if !sent.EnforceIndex || sent.JobModifyIndex != *versions[1].JobModifyIndex {
		t.Errorf("got index %d, enforced: %v, want the index of the stop, %d", sent.JobModifyIndex, sent.EnforceIndex,
			*versions[1].JobModifyIndex)
	}
	if stop := sent.Job.(map[string]any)["Stop"]; stop != false {
		t.Errorf("got Stop %v, want false", stop)
	}
	if !reflect.DeepEqual(sent.Job, before) {
		t.Errorf("got the definition\n%v\nwant\n%v", sent.Job, before)
	}
}
