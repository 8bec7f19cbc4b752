package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/checkonline"
	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/router"
)

// policyCases has a command line for each command, and a part of its output. NAME is the prefix of the test's jobs.
var policyCases = []struct{ line, want string }{
	{"whoami", "pat"},
	{"help", "ps"},
	{"can-i stop NAME-web", ""},
	{"ops", ""},
	{"ps NAME-web", "NAME-web"},
	{"batch NAME", "NAME-cron"},
	{"pstree NAME-web", "NAME-web"},
	{"info NAME-web", "NAME-web"},
	{"status NAME-web", "NAME-web"},
	{"inspect NAME-web", `"NAME-web"`},
	{"history NAME-web", "MODE"},
	{"deployment NAME-web", "successful"},
	{"logs p-team3-finished", "hello from once"},
	{"tail p-team3-finished", "hello from once"},
	{"signal NAME-web/web/web HUP", ""},
	{"restart -y NAME-web", ""},
	{"restart -y NAME-web/web", ""},
	{"restart -y NAME-web/web/web", ""},
	{"restart -y --reschedule NAME-web", ""},
	{"revert NAME-web 0", ""}, // before the counts differ, because it then registers the job
	{"scale NAME-web 2", ""},  // not after stop: an allocation that is updated while it starts may never become healthy
	{"stop $(ps -q NAME-web)", "Nomad replaces it"},
	{"restart -y --full NAME-web", ""},
	{"stop -y NAME-web", ""},
	{"start NAME-web", ""},
	{"pause NAME-canary", ""},
	{"resume NAME-canary", ""},
	{"promote NAME-canary", ""},
	{"fail NAME-fail", ""},
	{"run NAME-cron", "NAME-cron/periodic-"},
	{"dispatch -m file=a --no-payload NAME-import", "NAME-import/dispatch-"},
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

// capabilityLines has command lines that fail without a capability of checkonline.Needs. The error must name the
// capability. The lines are about the jobs of registerPolicyJobs.
var capabilityLines = map[string][]string{
	"list-jobs": {"ps", "batch", "pstree", "status NAME-web"},
	"read-job": {
		"ps", "status NAME-web", "info NAME-web", "inspect NAME-web", "history NAME-web", "deployment NAME-web",
	},
	"read-logs":          {"logs p-team3-finished", "tail p-team3-finished"},
	"alloc-exec":         {"exec p-team3-shell/shell/box true"},
	"alloc-node-exec":    {"exec p-team3-shell/shell/box true"},
	"alloc-lifecycle":    {"signal NAME-web/web/web HUP", "restart -y NAME-web"},
	"scale-job":          {"scale NAME-web 2", "stop -y NAME-web/web"},
	"deregister-job":     {"stop -y NAME-web"},
	"purge-job":          {"stop -y --purge NAME-paused"},
	"revert-job":         {"revert NAME-web 0"},
	"evaluate-job":       {"restart -y NAME-failed"},
	"promote-deployment": {"promote NAME-canary"},
	"fail-deployment":    {"fail NAME-canary"},
	"pause-deployment":   {"pause NAME-canary", "resume NAME-paused"},
	"dispatch-job":       {"dispatch -m file=a --no-payload NAME-import"},
	"register-job":       {"start NAME-stopped", "restart -y --full NAME-web"},
}

// policy is a shipped policy. Its capabilities are those of checkonline.Needs.
type policy struct {
	file     string
	register bool // it can register jobs
	older    bool // it is for Nomad before 1.11.2
}

var policies = []policy{
	{file: "nomadctld-policy.hcl"},
	{file: "nomadctld-policy-register.hcl", register: true},
	{file: "nomadctld-policy-before-1.11.2.hcl", register: true, older: true},
}

// needs returns the capabilities that the policy must have, and those that it must have in a comment, with command
// lines that fail without them.
func (p policy) needs() (needs, optional map[string][]string) {
	needs, optional = map[string][]string{}, map[string][]string{}
	for _, need := range checkonline.Needs {
		capability := need.Capability()
		lines := capabilityLines[capability]
		switch {
		case p.older && need.Coarser() != "":
			needs[need.Coarser()] = append(needs[need.Coarser()], lines...)
		case p.older && slices.Contains(need.AnyOf, "submit-job"): // it has submit-job
		case need.Advice == "", p.register && capability == "register-job":
			needs[capability] = lines
		case capability != "register-job":
			optional[capability] = lines
		}
	}
	return needs, optional
}

// refused returns the cases that fail with the policy, with the capability that the error names.
func (p policy) refused() map[string]string {
	if p.register {
		return nil
	}
	return map[string]string{"start NAME-web": "register-job", "restart -y --full NAME-web": "register-job"}
}

// TestDeployPolicy_CoversCommands checks that each command has a case, and each capability a command line.
func TestDeployPolicy_CoversCommands(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{"exec": true} // policyExec
	for _, c := range policyCases {
		covered[strings.Fields(c.line)[0]] = true
	}
	for _, spec := range router.Specs() {
		if reason := policyExempt[spec.Name]; covered[spec.Name] == (reason != "") {
			t.Errorf("%s: needs either a case or a reason why it has none (%q)", spec.Name, reason)
		}
	}
	known := map[string]bool{}
	for _, need := range checkonline.Needs {
		known[need.Capability()] = true
		if capabilityLines[need.Capability()] == nil {
			t.Errorf("%s: needs a command line in capabilityLines", need.Capability())
		}
	}
	for capability := range capabilityLines {
		if !known[capability] {
			t.Errorf("%s is not in checkonline.Needs, so check --online does not report it", capability)
		}
	}
}

var capabilityPattern = regexp.MustCompile(`(?m)^(\s+)(# )?"([a-z-]+)",\n`)

// capabilitiesOf returns the capabilities of a policy, and those in its comments.
func capabilitiesOf(rules string) (capabilities, commented []string) {
	for _, match := range capabilityPattern.FindAllStringSubmatch(rules, -1) {
		if match[2] == "" {
			capabilities = append(capabilities, match[3])
		} else {
			commented = append(commented, match[3])
		}
	}
	return capabilities, commented
}

// TestDeployPolicy_IsMinimal checks, for each policy, that every command works with it or names the missing capability,
// and that each of its capabilities is needed. It is not parallel, because its jobs would show up in the listings of
// other tests on the real cluster.
func TestDeployPolicy_IsMinimal(t *testing.T) {
	testenv.E2E(t)
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			t.Parallel()
			for i, p := range policies {
				t.Run(p.file, func(t *testing.T) {
					t.Parallel()
					if cluster.OlderThan(t, 1, 12) && !p.older {
						t.Skip("the policy is for Nomad 1.11.2 and later")
					}
					testPolicy(t, cluster, p, fmt.Sprintf("p-deploy%d", i))
				})
			}
		})
	}
}

// testPolicy tests a policy with jobs whose names start with name.
func testPolicy(t *testing.T, cluster nomadtest.Cluster, p policy, name string) {
	t.Helper()
	shipped := testenv.ReadFile(t, p.file)
	capabilities, commented := capabilitiesOf(shipped)
	needs, optional := p.needs()
	for got, want := range map[*[]string]map[string][]string{&capabilities: needs, &commented: optional} {
		if sorted := slices.Sorted(slices.Values(*got)); !slices.Equal(sorted, slices.Sorted(maps.Keys(want))) {
			t.Fatalf("got capabilities %q, want %q", sorted, slices.Sorted(maps.Keys(want)))
		}
	}
	extended, all := capabilityPattern.ReplaceAllString(shipped, "$1\"$3\",\n"), slices.Concat(capabilities, commented)
	registerPolicyJobs(t, cluster, name)
	g := gatewaytest.Start(t, cluster.URL, `
prefix.purge = { prefix = ["p-"], commands = ["purge"] }
users.pat = { prefix = ["all", "purge"], key = "$KEY" }
`)
	client, err := g.TryDial("pat", "wim")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	run := func(line string) (stdout, stderr string, err error) {
		return gatewaytest.RunLine(t, client, strings.ReplaceAll(line, "NAME", name))
	}
	use := func(variant, rules string, capabilities []string) { // the gateway reads the token file for every command
		secret := createPolicyToken(t, cluster, name+variant, rules, capabilities)
		if err := os.WriteFile(g.Dir.Path("token"), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expectMissing := func(line, capability, with string) {
		named := regexp.MustCompile(`(^|[^a-z-])` + capability + `([^a-z-]|$)`)
		if stdout, stderr, err := run(line); err == nil || !named.MatchString(stderr) {
			t.Errorf("%s %s: got %q, %q, %v, want an error that names %s", line, with, stdout, stderr, err, capability)
		}
	}
	for i, missing := range capabilities {
		rest := slices.Delete(slices.Clone(capabilities), i, i+1)
		use("-without-"+missing, strings.Replace(shipped, `"`+missing+`",`, "", 1), rest)
		for _, line := range needs[missing] {
			expectMissing(line, missing, "without "+missing)
		}
	}
	use("-extended", extended, all)
	if stdout, stderr, err := run(policyExec.line); err != nil || !strings.Contains(stdout, policyExec.want) {
		t.Errorf("%s: got %q, %q, %v, want %q", policyExec.line, stdout, stderr, err, policyExec.want)
	}
	use("", shipped, capabilities)
	for missing, lines := range optional {
		for _, line := range lines {
			expectMissing(line, missing, "as shipped")
		}
	}
	for _, c := range policyCases {
		if capability, ok := p.refused()[c.line]; ok {
			expectMissing(c.line, capability, "as shipped")
			continue
		}
		if command, query, ok := strings.Cut(strings.TrimSuffix(c.line, ")"), "$("); ok {
			ids, stderr, err := run(query)
			if err != nil || ids == "" {
				t.Fatalf("%s: got %q, %q, %v, want an ID", query, ids, stderr, err)
			}
			c.line = command + strings.Fields(ids)[0]
		}
		want := strings.ReplaceAll(c.want, "NAME", name)
		if stdout, stderr, err := run(c.line); err != nil || !strings.Contains(stdout, want) {
			t.Errorf("%s: got %q, %q, %v, want %q", c.line, stdout, stderr, err, want)
		}
	}
}

// registerPolicyJobs registers the jobs of policyCases and policies, and waits until they are settled.
func registerPolicyJobs(t *testing.T, cluster nomadtest.Cluster, name string) {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: cluster.URL, SecretID: nomadtest.Token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	rounds := [][]*api.Job{
		{
			nomadtest.Scalable(name+"-web", "a"), nomadtest.Canary(name+"-canary", "a"),
			nomadtest.Canary(name+"-fail", "a"),
			nomadtest.Canary(name+"-paused", "a"), nomadtest.Scalable(name+"-stopped", "a"),
			nomadtest.Periodic(name + "-cron"), nomadtest.Parameterized(name + "-import"),
		},
		{
			nomadtest.Scalable(name+"-web", "b"), nomadtest.Canary(name+"-canary", "b"),
			nomadtest.Canary(name+"-fail", "b"),
			nomadtest.Canary(name+"-paused", "b"),
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
	cluster.Register(t, failingJob(name+"-failed"))
	testenv.Eventually(t, name+"-failed has failed", func() bool {
		allocations, _, err := client.Jobs().Allocations(name+"-failed", false, nil)
		return err == nil && len(allocations) == 1 && allocations[0].ClientStatus == "failed"
	})
	if _, _, err := client.Jobs().Deregister(name+"-stopped", false, nil); err != nil {
		t.Fatal(err)
	}
	paused, _, err := client.Jobs().LatestDeployment(name+"-paused", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Deployments().Pause(paused.ID, true, nil); err != nil {
		t.Fatal(err)
	}
}

// failingJob returns a job whose allocation fails and is rescheduled an hour later.
func failingJob(id string) *api.Job {
	job := nomadtest.Scalable(id, "a")
	g := job.TaskGroups[0]
	g.Update, g.Scaling = &api.UpdateStrategy{MaxParallel: new(0)}, nil // no deployment
	g.Tasks[0].Config = map[string]any{"command": "/bin/false"}
	g.RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new("fail")}
	g.ReschedulePolicy = &api.ReschedulePolicy{
		Attempts: new(0), Unlimited: new(true), Delay: new(time.Hour), DelayFunction: new("constant"),
	}
	return job
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
