package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/audit"
	"nomadctld/internal/gateway"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// follower is a running tail.
type follower struct {
	session *ssh.Session
	stderr  testenv.Buffer
	ended   chan error
}

func startTail(t *testing.T, g *gatewaytest.Gateway, user, job string) *follower {
	t.Helper()
	session, err := g.Dial(t, user).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{session: session, ended: make(chan error, 1)}
	session.Stderr = &f.stderr
	if err := session.Start("tail " + job); err != nil {
		t.Fatal(err)
	}
	go func() { f.ended <- session.Wait() }()
	testenv.Eventually(t, "tail has started", func() bool {
		return strings.Contains(testenv.ReadFile(t, g.Dir.Path("audit")), `"event":"start"`) &&
			strings.Count(testenv.ReadFile(t, g.Dir.Path("audit")), `"user":"`+user+`"`) >= 2
	})
	return f
}

// wait waits for the end of the command and returns its result.
func (f *follower) wait(t *testing.T) error {
	t.Helper()
	testenv.Eventually(t, "the command ends", func() bool { return !f.isRunning() })
	return <-f.ended
}

func (f *follower) isRunning() bool {
	select {
	case err := <-f.ended:
		f.ended <- err
		return false
	default:
		return true
	}
}

// edit replaces a text in the configuration, by renaming a new file.
func edit(t *testing.T, g *gatewaytest.Gateway, old, new string) {
	t.Helper()
	text := testenv.ReadFile(t, g.ConfigFile())
	if !strings.Contains(text, old) {
		t.Fatalf("%q is not in the configuration", old)
	}
	temp := g.ConfigFile() + ".new"
	if err := os.WriteFile(temp, []byte(strings.Replace(text, old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, g.ConfigFile()); err != nil {
		t.Fatal(err)
	}
}

// reloadEvents returns the events of reloads in the audit log.
func reloadEvents(t *testing.T, g *gatewaytest.Gateway) (events []audit.Event) {
	t.Helper()
	for line := range bytes.Lines([]byte(testenv.ReadFile(t, g.Dir.Path("audit")))) {
		var e audit.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == audit.Reload {
			events = append(events, e)
		}
	}
	return events
}

const annKey = "users.ann = {"

// TestReload_UserRemoved expects that only the sessions of the removed user end.
func TestReload_UserRemoved(t *testing.T) {
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, monitored)
	anns, wims := startTail(t, g, "ann", "p-team1-multi"), startTail(t, g, "wim", "p-team2-shop")
	idle := g.Dial(t, "ann")
	edit(t, g, annKey, "users.eve = {")
	result, err := g.Serving.Reload("test")
	changes := []string{"users.ann removed", "users.eve added"}
	if err != nil || result.Stopped != 1 || !slices.Equal(result.Changes, changes) {
		t.Errorf("got %+v, %v", result, err)
	}
	err = anns.wait(t)
	const want = "nomadctld: your key is no longer accepted; ask the gateway's operator\n"
	if exit := (*ssh.ExitError)(nil); !errors.As(err, &exit) || exit.ExitStatus() != 1 || anns.stderr.String() != want {
		t.Errorf("the removed user: got %v, %q, want %q", err, anns.stderr.String(), want)
	}
	if err := idle.Wait(); err == nil {
		t.Error("the idle connection of the removed user is still open")
	}
	if _, err := g.TryDial("ann", "ann"); err == nil {
		t.Error("the removed user logged in")
	}
	if client, err := g.TryDial("eve", "ann"); err != nil {
		t.Errorf("the new user: %v", err)
	} else {
		client.Close()
	}
	if !wims.isRunning() || wims.stderr.String() != "" {
		t.Errorf("another user's command has ended, or got %q", wims.stderr.String())
	}
	events := reloadEvents(t, g)
	if len(events) != 1 || events[0].Cause != "test" || events[0].Error != "" ||
		!slices.Equal(events[0].Changes, result.Changes) {
		t.Errorf("audited %+v", events)
	}
	if log := g.Log(t); !strings.Contains(log, `msg="configuration reloaded" cause=test `+
		`changes="users.ann removed, users.eve added" stopped_commands=1`) {
		t.Errorf("logged %s", log)
	}
	if families := scrape(t, g); sum(families, "nomadctld_config_reloads_total", "outcome=success") != 1 {
		t.Errorf("got no reload in the metrics")
	}
}

// TestReload_RightRemoved takes a right away from ann's group.
func TestReload_RightRemoved(t *testing.T) {
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, "")
	anns, wims := startTail(t, g, "ann", "p-team1-multi"), startTail(t, g, "wim", "p-team1-multi")
	edit(t, g, `prefix.team1.prefix = ["p-team1-"]`, `prefix.team1 = { prefix = ["p-team1-"], commands = ["ps"] }`)
	if _, err := g.Serving.Reload("test"); err != nil {
		t.Fatal(err)
	}
	anns.wait(t)
	const want = "nomadctld: you no longer have the tail right on p-team1-multi; ask the gateway's operator\n"
	if anns.stderr.String() != want {
		t.Errorf("got %q, want %q", anns.stderr.String(), want)
	}
	if stdout, stderr, err := gatewaytest.RunLine(t, g.Dial(t, "ann"), "ps -q"); err != nil || stdout == "" {
		t.Errorf("a right that is left: got %q, %q, %v", stdout, stderr, err)
	}
	if !wims.isRunning() {
		t.Error("another user's command has ended")
	}
}

// TestReload_Refused expects that a configuration that is half written, or names a missing file, changes nothing, and
// that all its errors are logged once.
func TestReload_Refused(t *testing.T) {
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, monitored)
	tail := startTail(t, g, "ann", "p-team1-multi")
	text := testenv.ReadFile(t, g.ConfigFile())
	half := text[:strings.Index(text, annKey)+len(annKey)]
	for _, tc := range []struct{ name, text, want string }{
		{"half written", half, "nomadctld.toml:"},
		{"empty", "", "contains no settings"},
		{"missing token", strings.Replace(text, `/token"`, `/missing"`, 1), `/missing" does not exist`},
		{"unknown key", text + "\nlimits.sesions = 1\n", "unknown key limits.sesions"},
		{"raw.allow", text + "\nraw.allow = [\"nosuch\"]\n", "raw.allow"},
	} {
		g.WriteConfig(t, tc.text)
		before := len(reloadEvents(t, g))
		_, err := g.Serving.Reload("test")
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
			continue
		}
		events := reloadEvents(t, g)[before:]
		if len(events) != 1 || events[0].Error != err.Error() || events[0].Changes != nil {
			t.Errorf("%s: audited %+v", tc.name, events)
		}
		if _, _, err := gatewaytest.RunLine(t, g.Dial(t, "ann"), "ps"); err != nil {
			t.Errorf("%s: ps of a user: %v", tc.name, err)
		}
	}
	if !tail.isRunning() {
		t.Error("a running command has ended")
	}
	if families := scrape(t, g); sum(families, "nomadctld_config_last_reload_successful") != 0 {
		t.Error("the metrics do not show the failure")
	}
	g.WriteConfig(t, text)
	if result, err := g.Serving.Reload("test"); err != nil || len(result.Changes) > 0 {
		t.Errorf("with the first configuration: got %+v, %v", result, err)
	}
}

// TestReload_BindChanged expects that the other changes are applied.
func TestReload_BindChanged(t *testing.T) {
	g := gatewaytest.Start(t, nomadtest.Simulated(t).URL, "")
	edit(t, g, `general.bind = "127.0.0.1:0"`, "general.bind = \"127.0.0.1:1\"\nlimits.sessions = 3")
	result, err := g.Serving.Reload("test")
	if err != nil || !slices.Equal(result.NeedRestart, []string{"general.bind"}) ||
		!slices.Equal(result.Changes, []string{"general.bind changed", "limits added"}) {
		t.Errorf("got %+v, %v", result, err)
	}
	if result, err := g.Serving.Reload("test"); err != nil || len(result.NeedRestart) != 1 || len(result.Changes) != 0 {
		t.Errorf("again: got %+v, %v, want a setting that needs a restart, and no new change", result, err)
	}
	g.Dial(t, "ann")
	if log := g.Log(t); !strings.Contains(log, `need a restart were not applied" settings=general.bind`) {
		t.Errorf("logged %s", log)
	}
	if !slices.IsSorted(gateway.NeedRestart()) || !slices.Contains(gateway.NeedRestart(), "general.bind") {
		t.Errorf("got %q", gateway.NeedRestart())
	}
}

// TestReload_TierMoved changes the address of the tier.
func TestReload_TierMoved(t *testing.T) {
	first, second := nomadtest.Simulated(t), nomadtest.Simulated(t)
	g := gatewaytest.Start(t, first.URL, "")
	tail := startTail(t, g, "ann", "p-team1-multi")
	edit(t, g, first.URL, second.URL)
	if _, err := g.Serving.Reload("test"); err != nil {
		t.Fatal(err)
	}
	tail.wait(t)
	const want = "nomadctld: tier production has another address now; run the command again\n"
	if tail.stderr.String() != want {
		t.Errorf("got %q, want %q", tail.stderr.String(), want)
	}
	if stdout, stderr, err := gatewaytest.RunLine(t, g.Dial(t, "ann"), "ps -q"); err != nil || stdout == "" {
		t.Errorf("on the new address: got %q, %q, %v", stdout, stderr, err)
	}
}
