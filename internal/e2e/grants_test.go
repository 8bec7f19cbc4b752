package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/audit"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/router"
)

// grantLines has a command line, about an owned job, for each command that contacts clusters.
var grantLines = map[string]string{
	"attach":     "attach p-team1-moved/web/web",
	"batch":      "batch",
	"deployment": "deployment p-team1-done",
	"di":         "di p-team1-moved/web/web",
	"dispatch":   "dispatch p-team1-import -m file=x --no-payload",
	"exec":       "exec p-team1-moved/web/web true",
	"fail":       "fail p-team1-moved",
	"history":    "history p-team1-done",
	"info":       "info p-team1-done",
	"inspect":    "inspect p-team1-done",
	"logs":       "logs p-team1-done",
	"ops":        "ops",
	"pause":      "pause p-team1-moved",
	"promote":    "promote p-team1-moved",
	"ps":         "ps",
	"pstree":     "pstree",
	"raw":        "raw production version",
	"restart":    "restart p-team1-off",
	"resume":     "resume p-team1-moved",
	"revert":     "revert p-team1-off",
	"run":        "run p-team1-off",
	"scale":      "scale p-team1-moved 1",
	"signal":     "signal p-team1-moved/web/web HUP",
	"start":      "start p-team1-moved",
	"status":     "status p-team1-done",
	"stop":       "stop p-team1-moved/nope",
	"tail":       "tail p-team1-done",
}

// TestGrants_BySetOrName tries each command as four users: with all sets but its own, with all other rights by name,
// with only its right by name, and with only its set. The first two are denied without a request to the cluster.
func TestGrants_BySetOrName(t *testing.T) {
	t.Parallel()
	rights := router.Rights()
	var settings strings.Builder
	addUser := func(name string, granted []string) {
		fmt.Fprintf(&settings, "prefix.%s = { prefix = [\"p-team1-\"], commands = [%s] }\n", name, quoted(granted))
		fmt.Fprintf(&settings, "users.%s = { prefix = [%q], key = \"$KEY\" }\n", name, name)
	}
	for right, set := range rights {
		var others, names []string
		for _, s := range router.RightSets {
			if s.Set != set {
				others = append(others, string(s.Set))
			}
		}
		for name := range rights {
			if name != right {
				names = append(names, name)
			}
		}
		addUser("sets-but-"+right, others)
		addUser("names-but-"+right, names)
		addUser("only-"+right, []string{right})
		addUser("set-of-"+right, []string{string(set)})
	}
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, settings.String())
	for right := range rights {
		if right == "purge" || right == "exec-user" || right == router.SecretsRight {
			continue // not a command: see stop.txtar, exec.txtar and secrets_test.go
		}
		line, ok := grantLines[right]
		if !ok {
			t.Errorf("no line for command %s", right)
			continue
		}
		for _, user := range []string{"sets-but-", "names-but-"} {
			before := cluster.Sim.Traffic("").Requests
			code, stdout, stderr := runAs(t, g, user+right, line)
			want := 1
			if slices.ContainsFunc(router.Specs(), func(s router.Spec) bool { return s.Name == right && s.RunsProgram }) {
				want = 125
			}
			if code != want || stdout != "" || !strings.HasPrefix(stderr, "nomadctld: "+right+" is not among your commands: ") {
				t.Errorf("%s%s: %s: got %d, %q, %q, want %d and a denial", user, right, line, code, stdout, stderr, want)
			}
			if after := cluster.Sim.Traffic("").Requests; after != before {
				t.Errorf("%s%s: %s: got %d requests to the cluster, want none", user, right, line, after-before)
			}
			if e := g.LastEvent(t); e.Decision != audit.Denied || e.User != user+right || e.ExitCode != want {
				t.Errorf("%s%s: got the event %+v, want it denied", user, right, e)
			}
		}
		for _, user := range []string{"only-", "set-of-"} {
			_, _, stderr := runAs(t, g, user+right, line)
			if strings.Contains(stderr, "is not among your") || strings.Contains(stderr, "you do not have the ") {
				t.Errorf("%s%s: %s: got %q, want it allowed", user, right, line, stderr)
			}
			want := audit.Allowed
			if right == "raw" { // this gateway has no nomad binary
				want = audit.Failed
			}
			if e := g.LastEvent(t); e.Decision != want {
				t.Errorf("%s%s: got the event %+v, want %s", user, right, e, want)
			}
		}
	}
	for name := range grantLines {
		if _, ok := rights[name]; !ok {
			t.Errorf("got a line for %s, which is not a right", name)
		}
	}
}

// TestGrants_PublicCommands runs every command as a user without rights.
func TestGrants_PublicCommands(t *testing.T) {
	t.Parallel()
	cluster := nomadtest.Simulated(t)
	g := gatewaytest.Start(t, cluster.URL, "prefix.none = { prefix = [\"p-team1-\"], commands = [] }\nusers.bob = { "+
		"prefix = [\"none\"], key = \"$KEY\" }\n")
	for _, spec := range router.Specs() {
		before := cluster.Sim.Traffic("").Requests
		code, _, stderr := runAs(t, g, "bob", spec.Name+" --help")
		denied := strings.HasPrefix(stderr, "nomadctld: "+spec.Name+" is not among your commands: can-i, help, whoami")
		if public := spec.RightSet == router.Public; public == denied || public != (code == 0) {
			t.Errorf("%s: got %d, %q; its set is %s", spec.Name, code, stderr, spec.RightSet)
		}
		if after := cluster.Sim.Traffic("").Requests; after != before {
			t.Errorf("%s: got a request to the cluster", spec.Name)
		}
	}
}

func quoted(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, fmt.Sprintf("%q", w))
	}
	return strings.Join(all, ", ")
}

// runAs runs a command line with the Go client, as a user with the key of wim.
func runAs(t *testing.T, g *gatewaytest.Gateway, login, line string) (code int, stdout, stderr string) {
	t.Helper()
	client, err := g.TryDial(login, "wim")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stdout, stderr, err = gatewaytest.RunLine(t, client, line)
	if exit := (*ssh.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitStatus()
	}
	return code, stdout, stderr
}
