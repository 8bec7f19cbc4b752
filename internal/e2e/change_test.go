package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// registerAndSettle registers a job of a kind in scriptJobs, or a new version of it, and waits until it is settled.
func registerAndSettle(t *testing.T, cluster nomadtest.Cluster, kind, id, mode string) *api.Client {
	t.Helper()
	return cluster.RegisterAndSettle(t, scriptJobs[kind](id, mode))
}

// runUntil runs a command of wim on a terminal until it shows the text.
func runUntil(t *testing.T, g *gatewaytest.Gateway, line, text string) *terminal {
	t.Helper()
	cmd := g.SSH("wim", line)
	cmd.Args = append([]string{"ssh", "-tt"}, cmd.Args[1:]...)
	c := onTerminal(t, cmd, 120, 30)
	c.expect(text)
	return c
}

// writesTo returns the write requests whose path or body names the job.
func writesTo(c *nomadsim.Cluster, job string) (all []nomadsim.Write) {
	for _, w := range c.Writes() {
		if strings.Contains(w.Path+" ", "/"+job+" ") || strings.Contains(w.Path, "/"+job+"/") ||
			strings.Contains(string(w.Body), `"`+job+`"`) {
			all = append(all, w)
		}
	}
	return all
}

func TestStop_PromptsForManyAllocations(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	registerAndSettle(t, cluster, "three", "p-team5-ask", "a")
	cluster.Sim.ForgetWrites()
	for _, tc := range []struct {
		line, prompt, keys, confirmed string
		code                          int
	}{
		{"stop p-team5-ask", "Stop p-team5-ask in tier production, with 3 running allocations? [y/N] ", "n", "no", 1},
		{"stop p-team5-ask", "Stop p-team5-ask in tier production, with 3 running allocations? [y/N] ", "\r", "no", 1},
		{"stop p-team5-ask/web", "Stop p-team5-ask/web in tier production, with 3 running allocations? [y/N] ", "x", "no", 1},
		{"stop p-team5-ask", "Stop p-team5-ask in tier production, with 3 running allocations? [y/N] ", "\x03", "no", 130},
		{
			"restart --full p-team5-ask", "Stop and start p-team5-ask in tier production, with 3 running allocations? [y/N] ",
			"n", "no", 1,
		},
		{
			"restart --full p-team5-ask", "Stop and start p-team5-ask in tier production, with 3 running allocations? [y/N] ",
			"\x03", "no", 130,
		},
		{
			"restart --full p-team5-ask", "Stop and start p-team5-ask in tier production, with 3 running allocations? [y/N] ",
			"Y", "yes", 0,
		},
		{"stop p-team5-ask", "Stop p-team5-ask in tier production, with 3 running allocations? [y/N] ", "y", "yes", 0},
	} {
		c := runUntil(t, g, tc.line, tc.prompt)
		if got := writesTo(cluster.Sim, "p-team5-ask"); tc.confirmed == "no" && len(got) > 0 {
			t.Fatalf("%s: %+v before the prompt was answered, want nothing", tc.line, got)
		}
		c.send(tc.keys)
		code, rest := c.waitExit()
		if tc.confirmed == "no" && !strings.Contains(rest, "nothing was done") || code != tc.code {
			t.Errorf("%s, %q: got %d and %q, want %d", tc.line, tc.keys, code, rest, tc.code)
		}
		if got := writesTo(cluster.Sim, "p-team5-ask"); tc.confirmed == "no" && len(got) > 0 ||
			tc.confirmed == "yes" && len(got) == 0 {
			t.Errorf("%s, %q: the cluster got %+v", tc.line, tc.keys, got)
		}
		e := g.LastEvent(t)
		if e.Confirmed != tc.confirmed || e.ExitCode != tc.code || e.Job != "p-team5-ask" ||
			(len(e.Evaluations) > 0) != (tc.line == "stop p-team5-ask" && tc.confirmed == "yes") &&
				tc.confirmed == "no" {
			t.Errorf("%s, %q: got the event %+v, want it confirmed: %s", tc.line, tc.keys, e, tc.confirmed)
		}
	}
	if e := g.LastEvent(t); len(e.Evaluations) != 1 {
		t.Errorf("got %q, want the evaluation of the stop", e.Evaluations)
	}
}

func TestStop_YesShowsProgressOnOneLine(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	registerAndSettle(t, cluster, "three", "p-team5-line", "a")
	cluster.Sim.SetStepInterval(300 * time.Millisecond) // slow enough to see progress
	const passing = `(?:\r[^\r\n]*\x1b\[K)+\r\x1b\[K`   // overwritten, and finally deleted
	for _, tc := range []struct{ line, want string }{
		{"restart -y --wait 1s p-team5-line", `restarting 3 allocations of p-team5-line, 1 at a time\r\n` +
			`(?:` + passing + `\d of 3 restarted: web\[\d\] [0-9a-f]{8}\r\n){3}restarted 3 allocations of p-team5-line\r\n`},
		{"stop -y p-team5-line", passing + `stopped p-team5-line: 3 allocations \(evaluation [0-9a-f]{8}\)\r\n` +
			`start p-team5-line brings it back until [0-9: -]{16}Z, even after Nomad has deleted it\r\n`},
	} {
		if code, shown := runUntil(t, g, tc.line, "").waitExit(); code != 0 ||
			!regexp.MustCompile("^"+tc.want+"$").MatchString(shown) {
			t.Errorf("%s: got %d and %q, want %s", tc.line, code, shown, tc.want)
		}
	}
}

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

// TestChange_SupersededByNewVersion registers a new version while the command waits for the old one.
func TestChange_SupersededByNewVersion(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	for _, tc := range []struct{ kind, id, line, applied string }{
		{"three", "p-team5-mean1", "stop p-team5-mean1", "/v1/job/p-team5-mean1"},
		{"groups", "p-team5-mean2", "stop p-team5-mean2/web", "/v1/job/p-team5-mean2/scale"},
		{"canary", "p-team5-mean3", "promote p-team5-mean3", "/v1/deployment/promote/"},
	} {
		t.Run(tc.line, func(t *testing.T) {
			t.Parallel()
			client := registerAndSettle(t, cluster, tc.kind, tc.id, "a")
			if tc.kind == "canary" {
				registerAndSettle(t, cluster, tc.kind, tc.id, "b")
			}
			// The cluster delays its response, so the command reads the job only after it was changed.
			cluster.Sim.Inject(nomadsim.Fault{Method: "GET", Path: "/v1/job/" + tc.id, Delay: 3 * time.Second})
			before := len(cluster.Sim.Writes())
			cmd := g.SSH("wim", tc.line)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, "the request was applied", func() bool {
				return slices.ContainsFunc(cluster.Sim.Writes()[before:], func(w nomadsim.Write) bool {
					return strings.HasPrefix(w.Path, tc.applied) && w.Applied
				})
			})
			if _, _, err := client.Jobs().Register(scriptJobs[tc.kind](tc.id, "c"), nil); err != nil {
				t.Fatal(err)
			}
			want := regexp.MustCompile(tc.id + ` is at version \d now: Nomad reverted it, or somebody changed it`)
			if err := cmd.Wait(); err == nil || !want.Match(stderr.Bytes()) {
				t.Errorf("got %v, %q, want that the version changed", err, &stderr)
			}
		})
	}
}

// TestRestartFull_JobStoppedAgain registers and stops the job again while the restart waits for it to stop.
func TestRestartFull_JobStoppedAgain(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	client := registerAndSettle(t, cluster, "three", "p-team5-again", "a")
	cluster.Sim.Inject(nomadsim.Fault{Method: "GET", Path: "/v1/job/p-team5-again", Delay: 3 * time.Second})
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

// TestPrompt_IgnoresTypeAhead types before the prompt appears.
func TestPrompt_IgnoresTypeAhead(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	registerAndSettle(t, cluster, "three", "p-team5-ahead", "a")
	cluster.Sim.ForgetWrites()
	injected := cluster.Sim.Inject(nomadsim.Fault{Method: "GET", Path: "/v1/job/p-team5-ahead", Delay: 2 * time.Second})
	c := runUntil(t, g, "stop p-team5-ahead", "")
	testenv.Eventually(t, "the command reads the job", func() bool { return injected() > 0 })
	c.send("yum update\n")
	c.expect("3 running allocations? [y/N] ")
	c.send("n")
	if code, rest := c.waitExit(); code != 1 || !strings.Contains(rest, "nothing was done") ||
		len(writesTo(cluster.Sim, "p-team5-ahead")) > 0 {
		t.Errorf("got %d, %q, %+v", code, rest, writesTo(cluster.Sim, "p-team5-ahead"))
	}
}

// TestScale_IgnoresOtherGroups scales a group while another group of the job cannot be placed.
func TestScale_IgnoresOtherGroups(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	job := scriptJobs["groups"]("p-team5-stuck", "a")
	for _, group := range job.TaskGroups {
		group.Update = nil
	}
	job.Update = nil
	job.Type = new("batch")
	job.TaskGroups[1].Constraints = []*api.Constraint{{LTarget: "${attr.kernel.name}", RTarget: "plan9", Operand: "="}}
	cluster.Register(t, job)
	if code, stdout, stderr := g.Run("wim", "scale --timeout 30s p-team5-stuck/web 2"); code != 0 ||
		!strings.HasPrefix(stdout, "scaled p-team5-stuck/web from 1 to 2") {
		t.Errorf("got %d, %q, %q", code, stdout, stderr)
	}
}

// TestRestart_ClientDisconnects kills the client while the first of three allocations restarts.
func TestRestart_ClientDisconnects(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	registerAndSettle(t, cluster, "three", "p-team5-left", "a")
	injected := cluster.Sim.Inject(nomadsim.Fault{
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
		return err == nil && strings.Contains(string(out), `"state": "failed"`)
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

func TestPrompt_JobChanged(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	const prompt = "3 running allocations? [y/N] "
	for _, line := range []string{"stop p-team5-prompt", "stop p-team5-prompt/web", "restart --full p-team5-prompt"} {
		client := registerAndSettle(t, cluster, "three", "p-team5-prompt", "a")
		before, _, err := client.Jobs().Info("p-team5-prompt", nil)
		if err != nil {
			t.Fatal(err)
		}
		c := runUntil(t, g, line, prompt)
		registerAndSettle(t, cluster, "three", "p-team5-prompt", "b")
		cluster.Sim.ForgetWrites()
		c.send("y")
		code, rest := c.waitExit()
		want := regexp.MustCompile(`p-team5-prompt was changed by somebody else and is now at version [0-9]+; ` +
			`nothing was done \(see: history p-team5-prompt\)`)
		if code != 1 || !want.MatchString(rest) {
			t.Errorf("%s: got %d and %q, want that it was changed", line, code, rest)
		}
		for _, w := range cluster.Sim.Writes() {
			if w.Applied {
				t.Errorf("%s: the cluster applied %+v", line, w)
			}
		}
		now, _, err := client.Jobs().Info("p-team5-prompt", nil)
		if err != nil || *now.Stop || *now.Version != *before.Version+1 {
			t.Errorf("%s: got version %d of %d, stopped: %v, %v", line, *now.Version, *before.Version, *now.Stop, err)
		}

		c = runUntil(t, g, line, prompt)
		if _, _, err := client.Jobs().Deregister("p-team5-prompt", true, nil); err != nil {
			t.Fatal(err)
		}
		c.send("y")
		if code, rest := c.waitExit(); code != 1 || !strings.Contains(rest, "not found in Nomad") {
			t.Errorf("%s: got %d and %q, want that it is not found", line, code, rest)
		}
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

// TestStop_InterruptedWithPendingWrite presses Ctrl-C after Nomad received the request and before it responds.
func TestStop_InterruptedWithPendingWrite(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	registerAndSettle(t, cluster, "three", "p-team5-onway", "a")
	injected := cluster.Sim.Inject(nomadsim.Fault{
		Method: "DELETE", Path: "/v1/job/p-team5-onway", Delay: 2 * time.Second,
		Times: 1,
	})
	c := runUntil(t, g, "stop p-team5-onway", "3 running allocations? [y/N] ")
	c.send("y")
	testenv.Eventually(t, "the request was sent", func() bool { return injected() > 0 })
	c.send("\x03")
	if code, rest := c.waitExit(); code != 130 || !strings.Contains(rest,
		"Nomad is still working on it (see: status p-team5-onway)") {
		t.Errorf("got %d and %q, want that Nomad works on it", code, rest)
	}
	if e := g.LastEvent(t); len(e.Evaluations) != 1 {
		t.Errorf("got the event %+v, want it with the evaluation", e)
	}
}

func TestRestartFull_BlocksOtherCommands(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	client := registerAndSettle(t, cluster, "three", "p-team5-twice", "a")
	// The first request checks whether the job can be registered. It is meant to fail.
	cluster.Sim.Inject(nomadsim.Fault{
		Method: "PUT", Path: "/v1/jobs", Status: 500, Times: 1,
		Body: "Enforcing job modify index 1: job exists with conflicting job modify index: 2",
	})
	cluster.Sim.Inject(nomadsim.Fault{Method: "PUT", Path: "/v1/jobs", Status: 500, Body: "No cluster leader"})
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
	cluster.Sim.ClearFaults()
	if err := first.Wait(); err != nil {
		t.Error(err)
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
		cluster.Sim.Inject(nomadsim.Fault{Method: "PUT", Path: "/v1/client/allocation/" + id + "/restart", Hang: true})
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

// TestToken_MissingCapability runs every command that changes something.
func TestToken_MissingCapability(t *testing.T) {
	testenv.NeedSSH(t)
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			g := gatewaytest.Start(t, cluster.URL, "")
			for kind, id := range map[string]string{
				"three": "p-team5-weak", "canary": "p-team5-weak-canary", "periodic": "p-team5-weak-cron",
				"parameterized": "p-team5-weak-import",
				"scalable":      "p-team5-weak-off",
			} {
				registerAndSettle(t, cluster, kind, id, "a")
			}
			registerAndSettle(t, cluster, "canary", "p-team5-weak-paused", "a")
			registerAndSettle(t, cluster, "canary", "p-team5-weak-paused", "b")
			if out, err := g.SSH("wim", "pause p-team5-weak-paused").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			registerAndSettle(t, cluster, "canary", "p-team5-weak-canary", "b")
			registerAndSettle(t, cluster, "scalable", "p-team5-weak-off", "b")
			if out, err := g.SSH("wim", "stop p-team5-weak-off").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			weak, err := os.ReadFile(cluster.LimitedTokenFile(t, "list-jobs", "read-job"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(g.Dir.Path("token"), weak, 0o600); err != nil {
				t.Fatal(err)
			}
			for line, capability := range map[string]string{
				"stop p-team5-weak":                                   "submit-job",
				"start p-team5-weak-off":                              "submit-job",
				"scale p-team5-weak 2":                                "scale-job",
				"stop p-team5-weak/web":                               "scale-job",
				"restart p-team5-weak":                                "alloc-lifecycle",
				"restart --reschedule p-team5-weak":                   "alloc-lifecycle",
				"restart --full p-team5-weak":                         "submit-job",
				"signal p-team5-weak-canary HUP":                      "alloc-lifecycle",
				"promote p-team5-weak-canary":                         "submit-job",
				"pause p-team5-weak-canary":                           "submit-job",
				"resume p-team5-weak-paused":                          "submit-job",
				"stop one of p-team5-weak":                            "alloc-lifecycle",
				"fail p-team5-weak-canary":                            "submit-job",
				"revert p-team5-weak-off 0":                           "submit-job",
				"run p-team5-weak-cron":                               "dispatch-job",
				"dispatch --no-payload -m file=x p-team5-weak-import": "dispatch-job",
			} {
				firstTask := func(job string) string {
					out, err := g.SSH("wim", "ps -q "+job).Output()
					ids := strings.Fields(string(out))
					if err != nil || len(ids) == 0 {
						t.Fatalf("%s: got %q, %v, want its tasks", job, out, err)
					}
					return ids[0]
				}
				if strings.HasPrefix(line, "signal") {
					line = "signal " + firstTask("p-team5-weak-canary") + " HUP"
				} else if job, ok := strings.CutPrefix(line, "stop one of "); ok {
					line = "stop " + firstTask(job)
				}
				code, stdout, stderr := g.Run("wim", line)
				want := `the gateway's token lacks the capability "` + capability +
					`" in namespace default; tell the gateway's operator`
				if code != 1 || stdout != "" || !strings.Contains(stderr, want) {
					t.Errorf("%s: got %d, %q, %q, want 1 and that %s is missing", line, code, stdout, stderr, capability)
				}
				if e := g.LastEvent(t); e.ExitCode != 1 || !strings.Contains(e.Error, capability) ||
					len(e.Evaluations) > 0 {
					t.Errorf("%s: got the event %+v", line, e)
				}
			}
		})
	}
}
