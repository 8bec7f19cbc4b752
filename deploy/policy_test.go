package deploy_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/router"
)

// policyCases has a command line for each command, and a part of its output.
var policyCases = []struct{ line, want string }{
	{"whoami", "wim"},
	{"help", "ps"},
	{"can-i stop p-deploy-web", ""},
	{"ops", ""},
	{"ps p-deploy-web", "p-deploy-web"},
	{"batch p-deploy", "p-deploy-cron"},
	{"pstree p-deploy-web", "p-deploy-web"},
	{"info p-deploy-web", "p-deploy-web"},
	{"status p-deploy-web", "p-deploy-web"},
	{"inspect p-deploy-web", `"p-deploy-web"`},
	{"history p-deploy-web", "MODE"},
	{"deployment p-deploy-web", "successful"},
	{"logs p-team3-finished", "hello from once"},
	{"tail p-team3-finished", "hello from once"},
	{"signal p-deploy-web/web/web HUP", ""},
	{"restart -y p-deploy-web", ""},
	{"restart -y p-deploy-web/web", ""},
	{"restart -y p-deploy-web/web/web", ""},
	{"restart -y --reschedule p-deploy-web", ""},
	{"scale p-deploy-web 2", ""}, // not after stop: an allocation that is updated while it starts may never become healthy
	{"stop $(ps -q p-deploy-web)", "Nomad replaces it"},
	{"revert p-deploy-web 0", ""},
	{"stop -y p-deploy-web", ""},
	{"start p-deploy-web", ""},
	{"restart -y --full p-deploy-web", ""},
	{"pause p-deploy-canary", ""},
	{"resume p-deploy-canary", ""},
	{"promote p-deploy-canary", ""},
	{"fail p-deploy-fail", ""},
	{"run p-deploy-cron", "p-deploy-cron/periodic-"},
	{"dispatch -m file=a --no-payload p-deploy-import", "p-deploy-import/dispatch-"},
}

// policyExec is the case for exec. Its task uses raw_exec, which runs on every machine.
var policyExec = struct{ line, want string }{"exec p-team3-shell/shell/box -c 'echo inside'", "inside"}

// policyExempt has the reasons why the other commands have no case.
var policyExempt = map[string]string{
	"attach":   "needs the Docker daemon of a node",
	"di":       "needs the Docker daemon of a node",
	"raw":      "can do everything that the token allows",
	"complete": "lists the same as the other commands",
}

// policyOptional are the capabilities that the policy has only in a comment, with command lines that fail without them.
// The error must name the capability.
var policyOptional = map[string][]string{
	"alloc-node-exec": {"exec p-team3-shell/shell/box true"},
}

// policyNeeds are the other capabilities of the policy, with command lines that fail without them.
var policyNeeds = map[string][]string{
	"list-jobs": {"ps", "batch", "pstree", "status p-deploy-web"},
	"read-job": {
		"ps", "status p-deploy-web", "info p-deploy-web", "inspect p-deploy-web", "history p-deploy-web",
		"deployment p-deploy-web",
	},
	"read-logs":  {"logs p-team3-finished", "tail p-team3-finished"},
	"alloc-exec": {"exec p-team3-shell/shell/box true"},
	"submit-job": {
		"stop -y p-deploy-web", "restart -y --full p-deploy-web", "revert p-deploy-web 0", "pause p-deploy-canary",
		"resume p-deploy-paused",
		"promote p-deploy-canary", "fail p-deploy-canary", "start p-deploy-stopped",
	},
	"dispatch-job":    {"dispatch -m file=a --no-payload p-deploy-import"},
	"alloc-lifecycle": {"signal p-deploy-web/web/web HUP", "restart -y p-deploy-web"},
}

// TestDeployPolicy_IsMinimal checks that every command works with the policy, and that each of its capabilities is
// needed. It is not parallel, because its jobs would show up in the listings of other tests on the real cluster.
func TestDeployPolicy_IsMinimal(t *testing.T) {
	testenv.E2E(t)
	covered := map[string]bool{"exec": true} // policyExec
	for _, c := range policyCases {
		covered[strings.Fields(c.line)[0]] = true
	}
	for _, spec := range router.Specs() {
		if reason := policyExempt[spec.Name]; covered[spec.Name] == (reason != "") {
			t.Errorf("%s: needs either a case or a reason why it has none (%q)", spec.Name, reason)
		}
	}
	shipped := testenv.ReadFile(t, "nomadctld-policy.hcl")
	extended := regexp.MustCompile(`(?m)^(\s+)# ("[a-z-]+",\n)`).ReplaceAllString(shipped, "$1$2")
	capabilitiesOf := func(policy string) (capabilities []string) {
		for _, match := range regexp.MustCompile(`(?m)^\s+"([a-z-]+)",\n`).FindAllStringSubmatch(policy, -1) {
			capabilities = append(capabilities, match[1])
		}
		return capabilities
	}
	capabilities, all := capabilitiesOf(shipped), capabilitiesOf(extended)
	if got, want := slices.Sorted(slices.Values(capabilities)),
		slices.Sorted(maps.Keys(policyNeeds)); !slices.Equal(got, want) {
		t.Fatalf("got capabilities %q, want those of policyNeeds, %q", got, want)
	}
	if got, want := len(all), len(policyNeeds)+len(policyOptional); got != want {
		t.Fatalf("with those in comments: got capabilities %q, want %d", all, want)
	}
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			t.Parallel()
			registerPolicyJobs(t, cluster)
			g := gatewaytest.Start(t, cluster.URL, "")
			client := g.Dial(t, "wim")
			// The gateway reads the token file for every command.
			use := func(name, rules string, capabilities []string) {
				secret := createPolicyToken(t, cluster, name, rules, capabilities)
				if err := os.WriteFile(g.Dir.Path("token"), []byte(secret), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for i, missing := range all {
				rest := slices.Delete(slices.Clone(all), i, i+1)
				use("deploy-without-"+missing, strings.Replace(extended, `"`+missing+`",`, "", 1), rest)
				for _, line := range slices.Concat(policyNeeds[missing], policyOptional[missing]) {
					if stdout, stderr, err := gatewaytest.RunLine(t, client, line); err == nil || !strings.Contains(stderr, missing) {
						t.Errorf("%s without %s: got %q, %q, %v, want an error that names it", line, missing, stdout, stderr, err)
					}
				}
			}
			use("deploy", shipped, capabilities)
			for missing, lines := range policyOptional {
				for _, line := range lines {
					if stdout, stderr, err := gatewaytest.RunLine(t, client, line); err == nil || !strings.Contains(stderr, missing) {
						t.Errorf("%s, as shipped: got %q, %q, %v, want an error that names %s", line, stdout, stderr, err, missing)
					}
				}
			}
			use("deploy-extended", extended, all)
			if stdout, stderr, err := gatewaytest.RunLine(t, client, policyExec.line); err != nil ||
				!strings.Contains(stdout, policyExec.want) {
				t.Errorf("%s: got %q, %q, %v, want %q", policyExec.line, stdout, stderr, err, policyExec.want)
			}
			use("deploy", shipped, capabilities)
			for _, c := range policyCases {
				if command, query, ok := strings.Cut(strings.TrimSuffix(c.line, ")"), "$("); ok {
					ids, stderr, err := gatewaytest.RunLine(t, client, query)
					if err != nil || ids == "" {
						t.Fatalf("%s: got %q, %q, %v, want an ID", query, ids, stderr, err)
					}
					c.line = command + strings.Fields(ids)[0]
				}
				if stdout, stderr, err := gatewaytest.RunLine(t, client, c.line); err != nil || !strings.Contains(stdout, c.want) {
					t.Errorf("%s: got %q, %q, %v, want %q", c.line, stdout, stderr, err, c.want)
				}
			}
		})
	}
}

// registerPolicyJobs registers the jobs of policyCases and policyNeeds, and waits until they are settled.
func registerPolicyJobs(t *testing.T, cluster nomadtest.Cluster) {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: cluster.URL, SecretID: nomadtest.Token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	rounds := [][]*api.Job{
		{
			nomadtest.Scalable("p-deploy-web", "a"), nomadtest.Canary("p-deploy-canary", "a"),
			nomadtest.Canary("p-deploy-fail", "a"),
			nomadtest.Canary("p-deploy-paused", "a"), nomadtest.Scalable("p-deploy-stopped", "a"),
			nomadtest.Periodic("p-deploy-cron"), nomadtest.Parameterized("p-deploy-import"),
		},
		{
			nomadtest.Scalable("p-deploy-web", "b"), nomadtest.Canary("p-deploy-canary", "b"),
			nomadtest.Canary("p-deploy-fail", "b"),
			nomadtest.Canary("p-deploy-paused", "b"),
		},
	}
	for _, jobs := range rounds {
		for _, job := range jobs {
			cluster.Register(t, job)
		}
		for _, job := range jobs {
			testenv.Eventually(t, *job.ID+" is settled", func() bool { return nomadtest.CheckSettled(client, *job.ID) == nil })
		}
	}
	if _, _, err := client.Jobs().Deregister("p-deploy-stopped", false, nil); err != nil {
		t.Fatal(err)
	}
	paused, _, err := client.Jobs().LatestDeployment("p-deploy-paused", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Deployments().Pause(paused.ID, true, nil); err != nil {
		t.Fatal(err)
	}
}

// createPolicyToken creates a token with a policy: with the rules on a real cluster, with the capabilities on a
// simulated one.
func createPolicyToken(
	t *testing.T, cluster nomadtest.Cluster, name, rules string, capabilities []string,
) (secret string) {
	t.Helper()
	if cluster.Sim != nil {
		cluster.Sim.AddToken(name, nomadsim.Rights{Namespaces: map[string][]string{"*": capabilities}})
		return name
	}
	client, err := api.NewClient(&api.Config{Address: cluster.URL, SecretID: nomadtest.Token})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.ACLPolicies().Upsert(&api.ACLPolicy{Name: name, Rules: rules}, nil); err != nil {
		t.Fatal(err)
	}
	token, _, err := client.ACLTokens().Create(&api.ACLToken{Name: name, Type: "client", Policies: []string{name}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return token.SecretID
}
