package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/router"
)

// canary is part of every secret of the test.
const canary = "canary7x9secret"

// withSecrets adds secrets to a job, in every field that can have one.
func withSecrets(job *api.Job, version string) *api.Job {
	secret := canary + version
	task := job.TaskGroups[0].Tasks[0]
	task.Env = map[string]string{
		"DB_PASSWORD": secret, "DATABASE_URL": "postgres://app:" + secret + "@db/x", "MODE": version,
	}
	group := job.TaskGroups[0]
	group.Services = append(group.Services, &api.Service{
		Name: "canary", Provider: "nomad", Address: "127.0.0.1", PortLabel: "1", // nothing listens there
		Checks: []api.ServiceCheck{{
			Name: "ready", Type: "http", Path: "/ready?token=" + secret, OnUpdate: "ignore", Interval: 2 * time.Second,
			Timeout: time.Second,
		}},
	})
	task.Meta = map[string]string{"deploy_key": secret}
	job.Meta = map[string]string{"api_token": secret}
	perms, change, data := "0600", "noop", "mode = "+version+"\npassword = "+secret+"\n"
	dest := "local/config"
	task.Templates = []*api.Template{{EmbeddedTmpl: &data, DestPath: &dest, Perms: &perms, ChangeMode: &change}}
	return job
}

// secretLines has a command line for each command that reads jobs, on jobs with secrets. They run in this order.
var secretLines = []string{
	"ps p-team5-canary", "ps --json p-team5-canary", "pstree p-team5-canary", "batch p-team5-canary",
	"info p-team5-canary", "info --json p-team5-canary", "status p-team5-canary", "status --json p-team5-canary",
	"deployment p-team5-canary", "inspect p-team5-canary", "inspect --version 0 p-team5-canary",
	"history p-team5-canary", "history --json p-team5-canary", "logs p-team5-canary", "complete - inspect p-team5-canary",
	"exec p-team5-canary true", "signal p-team5-canary/web/web HUP", "scale p-team5-canary 2",
	"revert -y p-team5-canary 0",
	"stop -y p-team5-canary", "start p-team5-canary", "restart -y p-team5-canary", "restart -y --full p-team5-canary",
	"ops", "ops --json", "pause p-team5-canary", "resume p-team5-canary", "promote p-team5-canary",
	"fail p-team5-canary",
	"run p-team5-canary", "dispatch -m file=" + canary + " --no-payload p-team5-canaryimport",
	"dispatch -m file=" + canary + " -m nosuch=" + canary + " --no-payload p-team5-canaryimport",
	"ps p-team5-canaryimport",
	"status p-team5-canaryimport", "info p-team5-canaryimport", "inspect p-team5-canaryimport",
}

// secretExempt has the reasons why the other commands are not in secretLines.
var secretExempt = map[string]string{
	"attach": "prints what the program prints", "tail": "prints what the program prints",
	"di":  "needs a Docker daemon: see TestSecrets_Container in router",
	"raw": "has all rights of the tier's token",
}

// TestSecrets_NoCommandPrintsThem runs every command on a job with secrets, as a user who has every right except
// secrets and raw, and checks that no output and no audit event contains one. Afterwards, the job still has its
// secrets.
func TestSecrets_NoCommandPrintsThem(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, line := range secretLines {
		covered[strings.Fields(line)[0]] = true
	}
	for _, spec := range router.Specs() {
		if spec.Target != router.TargetNone && covered[spec.Name] == (secretExempt[spec.Name] != "") {
			t.Errorf("%s: needs a line in secretLines, or a reason why it has none", spec.Name)
		}
	}
	for _, cluster := range nomadtest.Clusters(t) {
		t.Run(cluster.Kind, func(t *testing.T) {
			t.Parallel()
			g := gatewaytest.Start(t, cluster.URL, `
prefix.ops = { prefix = ["p-team5-"], commands = ["@read", "@enter", "@operate", "purge", "exec-user"] }
prefix.trusted = { prefix = ["p-team5-"], commands = ["@read", "secrets"] }
users.bob = { prefix = ["ops"], key = "$KEY" }
users.eve = { prefix = ["trusted"], key = "$KEY" }
`)
			client, err := api.NewClient(&api.Config{Address: cluster.URL, SecretID: nomadtest.Token})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			for _, job := range []*api.Job{
				withSecrets(nomadtest.Scalable("p-team5-canary", ""), "1"),
				withSecrets(nomadtest.Scalable("p-team5-canary", ""), "2"),
				withSecrets(nomadtest.Parameterized("p-team5-canaryimport"), "1"),
			} {
				cluster.Register(t, job)
				testenv.Eventually(t, *job.ID+" is settled", func() bool {
					return nomadtest.CheckSettled(client, *job.ID) == nil
				})
			}
			lines := slices.Clone(secretLines)
			dispatched, _, err := client.Jobs().Dispatch("p-team5-canaryimport", map[string]string{"file": canary}, nil, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"inspect", "info", "status", "history"} {
				lines = append(lines, command+" "+dispatched.DispatchedJobID)
			}
			for _, line := range lines {
				_, stdout, stderr := runAs(t, g, "bob", line)
				if strings.Contains(stdout+stderr, canary) {
					t.Errorf("%s: got a secret: %q, %q", line, stdout, stderr)
				}
				if masked := strings.Contains(stdout, "***"); masked != strings.Contains(stderr, "needs the secrets right") {
					t.Errorf("%s: got %q, %q, want a notice if and only if something is hidden", line, stdout, stderr)
				}
			}
			for _, line := range []string{"inspect p-team5-canary", "history p-team5-canary"} {
				code, stdout, stderr := runAs(t, g, "eve", line)
				if code != 0 || !strings.Contains(stdout, canary) || stderr != "" {
					t.Errorf("%s with the right: got %d, %q, %q, want the secrets", line, code, stdout, stderr)
				}
			}
			if audit := testenv.ReadFile(t, g.Dir.Path("audit")); strings.Contains(audit, canary) {
				t.Error("the audit log has a secret")
			}
			job, _, err := client.Jobs().Info("p-team5-canary", nil)
			if err != nil {
				t.Fatal(err)
			}
			task := job.TaskGroups[0].Tasks[0]
			if want := canary + "1"; task.Env["DB_PASSWORD"] != want || job.Meta["api_token"] != want ||
				!strings.Contains(*task.Templates[0].EmbeddedTmpl, want) {
				t.Errorf("start and restart --full: got %v, %v, %q, want the secrets of version 0",
					task.Env, job.Meta, *task.Templates[0].EmbeddedTmpl)
			}
		})
	}
}

// TestSecrets_FailedArtifact checks that no command prints the secrets in the URL of an artifact that could not be
// downloaded, unless the user has the right.
func TestSecrets_FailedArtifact(t *testing.T) {
	t.Parallel()
	for _, cluster := range nomadtest.Clusters(t) {
		if cluster.Sim != nil {
			continue // it downloads no artifacts
		}
		g := gatewaytest.Start(t, cluster.URL, `
prefix.ops = { prefix = ["p-team5-"], commands = ["@read", "@enter", "@operate"] }
prefix.trusted = { prefix = ["p-team5-"], commands = ["@read", "secrets"] }
users.bob = { prefix = ["ops"], key = "$KEY" }
users.eve = { prefix = ["trusted"], key = "$KEY" }
`)
		job := nomadtest.Scalable("p-team5-artifact", "")
		group := job.TaskGroups[0]
		group.RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new("fail")}
		group.ReschedulePolicy = &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)}
		source := "http://app:" + canary + "@127.0.0.1:1/app?token=" + canary // nothing listens there
		group.Tasks[0].Artifacts = []*api.TaskArtifact{{GetterSource: &source}}
		cluster.Register(t, job)
		testenv.Eventually(t, "the download has failed", func() bool {
			_, stdout, _ := runAs(t, g, "eve", "info p-team5-artifact")
			return strings.Contains(stdout, "Failed Artifact Download") && strings.Contains(stdout, canary)
		})
		for _, line := range []string{
			"info p-team5-artifact", "info --json p-team5-artifact", "ps p-team5-artifact", "ps --json p-team5-artifact",
			"ps -o reason,jobreason p-team5-artifact", "pstree p-team5-artifact", "status p-team5-artifact",
			"status --json p-team5-artifact", "history p-team5-artifact", "logs p-team5-artifact",
			"exec p-team5-artifact true", "complete - info p-team5-artifact", "restart -y p-team5-artifact",
			"restart -y --full p-team5-artifact",
		} {
			_, stdout, stderr := runAs(t, g, "bob", line)
			if strings.Contains(stdout+stderr, canary) {
				t.Errorf("%s: got a secret: %q, %q", line, stdout, stderr)
			}
			if isInfo := strings.HasPrefix(line, "info"); isInfo != strings.Contains(stderr, "needs the secrets right") ||
				isInfo && !strings.Contains(stdout, "127.0.0.1:1/***") {
				t.Errorf("%s: got %q, %q, want a notice from info, and the host", line, stdout, stderr)
			}
		}
	}
}
