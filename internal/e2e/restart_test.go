package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// countRestarts returns the number of allocations that the cluster restarted.
func countRestarts(c *nomadsim.Cluster) (n int) {
	for _, w := range c.Writes() {
		if strings.HasSuffix(w.Path, "/restart") && w.Applied {
			n++
		}
	}
	return n
}

// TestRestart_BatchesInSequence polls the number of running allocations while six restart, two at a time. It also
// checks that the restart stops after the first batch if that does not become healthy.
func TestRestart_BatchesInSequence(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	client := registerAndSettle(t, cluster, "three", "p-team5-six", "a")
	six := scriptJobs["three"]("p-team5-six", "a")
	six.TaskGroups[0].Count, six.TaskGroups[0].Scaling = new(6), nil
	cluster.Register(t, six)
	running := func() (n int) {
		allocations, _, err := client.Jobs().Allocations("p-team5-six", false, nil)
		if err != nil {
			t.Error(err)
		}
		for _, a := range allocations {
			if a.ClientStatus == "running" && a.TaskStates["web"].State == "running" {
				n++
			}
		}
		return n
	}
	testenv.Eventually(t, "six allocations run", func() bool {
		return nomadtest.CheckSettled(client, "p-team5-six") == nil && running() == 6
	})
	cluster.Sim.SetStepInterval(300 * time.Millisecond) // slow enough for the poll to see every stopped allocation
	cluster.Sim.ForgetWrites()
	cmd := g.SSH("wim", "restart --batch 2 p-team5-six")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	minRunning := 6
	for done := false; !done; time.Sleep(time.Millisecond) {
		minRunning = min(minRunning, running())
		select {
		case err := <-exited:
			if err != nil {
				t.Error(err)
			}
			done = true
		default:
		}
	}
	if minRunning != 4 || countRestarts(cluster.Sim) != 6 {
		t.Errorf("at least %d allocations ran and %d were restarted, want 4 and 6", minRunning, countRestarts(cluster.Sim))
	}
	cluster.Sim.ForgetWrites()
	cluster.Sim.FailNext("default", "p-team5-six", 2)
	if code, _, stderr := g.Run("wim", "restart --batch 2 p-team5-six"); code != 1 || countRestarts(cluster.Sim) != 2 {
		t.Errorf("got code %d and %d restarts, want 1 and 2: %s", code, countRestarts(cluster.Sim), stderr)
	}
}

// TestRestart_LocksJobAcrossTiers uses two tiers of one cluster.
func TestRestart_LocksJobAcrossTiers(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(nomadtest.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatewaytest.Start(t, cluster.URL, fmt.Sprintf("nomad.again = { url = %q, prefix = [\"p-\"], token = %q }\n",
		cluster.URL, token))
	registerAndSettle(t, cluster, "three", "p-team5-tiers", "a")
	if code, _, stderr := g.Run("wim", "restart --tier production --background --wait 1h p-team5-tiers"); code != 0 {
		t.Fatal(stderr)
	}
	for _, line := range []string{"restart --tier again p-team5-tiers", "restart --tier production p-team5-tiers"} {
		if code, _, stderr := g.Run("wim", line); code != 1 ||
			!strings.HasPrefix(stderr, "nomadctld: p-team5-tiers is busy: operation ") {
			t.Errorf("%s: got %d, %q, want that the job is locked", line, code, stderr)
		}
	}
}

// TestRestart_ClientDisconnects kills the client while the first of three allocations restarts.
func TestRestart_ClientDisconnects(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	registerAndSettle(t, cluster, "three", "p-team5-left", "a")
	injected := cluster.Sim.Inject(nomadsim.Failure{
		Method: "PUT", Path: "/v1/client/allocation/{id}/restart",
		Delay: 2 * time.Second,
	})
	cluster.Sim.ForgetWrites()
	client := g.SSH("wim", "restart p-team5-left")
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the first allocation is restarting", func() bool { return injected() > 0 })
	client.Process.Kill()
	client.Wait()
	testenv.Eventually(t, "the restart has stopped", func() bool {
		out, err := g.SSH("wim", "ops", "--json").Output()
		return err == nil && strings.Contains(string(out), `"state": "cancelled"`)
	})
	const want = "the restart of p-team5-left stopped after 1 of 3 allocations: the client disconnected"
	found := false
	for _, e := range g.Events(t) {
		found = found || e.Error == want
	}
	if !found {
		t.Errorf("got the events %+v, want one with the error %s", g.Events(t), want)
	}
	if got := countRestarts(cluster.Sim); got != 1 || injected() != 1 {
		t.Errorf("the cluster restarted %d allocations after %d requests, want 1 and 1", got, injected())
	}
}

// TestRestart_GatewayStops expects the same report as after Ctrl-C when the gateway stops in the middle of a batch.
func TestRestart_GatewayStops(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	registerAndSettle(t, cluster, "three", "p-team5-stop", "a")
	injected := cluster.Sim.Inject(nomadsim.Failure{
		Method: "PUT", Path: "/v1/client/allocation/{id}/restart", Hang: true,
	})
	cmd := g.SSH("wim", "restart p-team5-stop")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the first allocation is restarting", func() bool { return injected() > 0 })
	g.Stop()
	cmd.Wait()
	want := regexp.MustCompile(`(?s)\nnomadctld: the gateway is stopping; this command will be stopped in 5s\n` +
		`.*restarted: none\n` +
		`restarted but not confirmed healthy: web\[0\] [0-9a-f]{8}\n` +
		`not restarted: web\[1\] [0-9a-f]{8}, web\[2\] [0-9a-f]{8}\n` +
		`nomadctld: the restart of p-team5-stop stopped after 0 of 3 allocations: the gateway is being stopped\n$`)
	if code := cmd.ProcessState.ExitCode(); code != 1 || !want.MatchString(stderr.String()) {
		t.Errorf("got %d and\n%s\nwant 1 and\n%s", code, stderr.String(), want)
	}
}

func TestRestart_CtrlC(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	registerAndSettle(t, cluster, "three", "p-team5-ctrlc", "a")
	c := runUntil(t, g, "restart --wait 1h p-team5-ctrlc", "waiting 1h0m0s before the next batch")
	c.send("\x03")
	code, rest := c.waitExit()
	if code != 130 || !strings.Contains(rest, "stopping after the current batch; press Ctrl-C again to detach") ||
		!strings.Contains(rest, "the restart of p-team5-ctrlc stopped after 1 of 3 allocations: cancelled with Ctrl-C") {
		t.Errorf("got %d and %q", code, rest)
	}
	// The current batch never becomes healthy. The first Ctrl-C waits for it, the second does not.
	cluster.Sim.FailNext("default", "p-team5-ctrlc", 0)
	for _, id := range cluster.Sim.Allocations("default", "p-team5-ctrlc") {
		cluster.Sim.Inject(nomadsim.Failure{Method: "PUT", Path: "/v1/client/allocation/" + id + "/restart", Hang: true})
	}
	c = runUntil(t, g, "restart p-team5-ctrlc", "restarting web[0]")
	c.send("\x03")
	c.expect("press Ctrl-C again to detach")
	c.send("\x03")
	if code, rest := c.waitExit(); code != 130 {
		t.Errorf("got %d and %q, want 130", code, rest)
	}
	out, err := g.SSH("wim", "ops", "--json").Output()
	if err != nil || strings.Count(string(out), `"state": "ending"`) != 1 {
		t.Errorf("got %s, %v, want one operation that is stopping", out, err)
	}
}
