package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

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
			`until [0-9: -]{16}Z, start p-team5-line brings it back, even after Nomad has deleted it\r\n`},
	} {
		if code, shown := runUntil(t, g, tc.line, "").waitExit(); code != 0 ||
			!regexp.MustCompile("^"+tc.want+"$").MatchString(shown) {
			t.Errorf("%s: got %d and %q, want %s", tc.line, code, shown, tc.want)
		}
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
	injected := cluster.Sim.Inject(nomadsim.Failure{Method: "GET", Path: "/v1/job/p-team5-ahead", Delay: 2 * time.Second})
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

// TestStop_InterruptedWithPendingWrite presses Ctrl-C after Nomad received the request and before it responds.
func TestStop_InterruptedWithPendingWrite(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "")
	registerAndSettle(t, cluster, "three", "p-team5-onway", "a")
	injected := cluster.Sim.Inject(nomadsim.Failure{
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
