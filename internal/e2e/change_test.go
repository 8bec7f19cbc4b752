package e2e

import (
	"bytes"
	"os"
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

// runUntil runs a command of wim on a terminal until it shows the text. The terminal is so wide that no message wraps.
func runUntil(t *testing.T, g *gatewaytest.Gateway, line, text string) *terminal {
	t.Helper()
	cmd := g.SSH("wim", line)
	cmd.Args = append([]string{"ssh", "-tt"}, cmd.Args[1:]...)
	c := onTerminal(t, cmd, 400, 30)
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
			cluster.Sim.Inject(nomadsim.Failure{Method: "GET", Path: "/v1/job/" + tc.id, Delay: 3 * time.Second})
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
				"stop p-team5-weak":                                   "deregister-job",
				"start p-team5-weak-off":                              "register-job",
				"scale p-team5-weak 2":                                "scale-job",
				"stop p-team5-weak/web":                               "scale-job",
				"restart p-team5-weak":                                "alloc-lifecycle",
				"restart --reschedule p-team5-weak":                   "alloc-lifecycle",
				"restart --full p-team5-weak":                         "register-job",
				"signal p-team5-weak-canary HUP":                      "alloc-lifecycle",
				"promote p-team5-weak-canary":                         "promote-deployment",
				"pause p-team5-weak-canary":                           "pause-deployment",
				"resume p-team5-weak-paused":                          "pause-deployment",
				"stop one of p-team5-weak":                            "alloc-lifecycle",
				"fail p-team5-weak-canary":                            "fail-deployment",
				"revert p-team5-weak-off 0":                           "revert-job",
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
				want := "the gateway's token lacks the capability \"" + capability + `"`
				const hint = " in namespace default; tell the gateway's operator"
				if code != 1 || stdout != "" || !strings.Contains(stderr, want) || !strings.Contains(stderr, hint) {
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
