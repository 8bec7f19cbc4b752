package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// startWatch starts a command that runs until it is stopped.
func startWatch(t *testing.T, g *gatewaytest.Gateway, user string) (*ssh.Session, *testenv.Buffer) {
	t.Helper()
	session, err := g.Dial(t, user).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr testenv.Buffer
	session.Stdout, session.Stderr = &stdout, &stderr
	if err := session.Start("ps --watch 1"); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the command prints", func() bool { return stdout.String() != "" })
	return session, &stderr
}

func sendSignal(t *testing.T, g *gatewaytest.Gateway, s syscall.Signal) {
	t.Helper()
	if err := g.Process.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func waitForLog(t *testing.T, g *gatewaytest.Gateway, line string) {
	t.Helper()
	testenv.Eventually(t, "the log has "+line, func() bool { return strings.Contains(g.Log(t), line) })
}

// stopWithCode stops the process and checks its exit code.
func stopWithCode(t *testing.T, g *gatewaytest.Gateway, code int) {
	t.Helper()
	sendSignal(t, g, syscall.SIGTERM)
	g.Process.Wait()
	if got := g.Process.ProcessState.ExitCode(); got != code || strings.Contains(g.Log(t), "msg=stopped") != (code == 0) {
		t.Errorf("got exit code %d and the log %s, want %d", got, g.Log(t), code)
	}
}

// TestSighup_Reloads removes ann, and breaks the configuration. Wim's command continues.
func TestSighup_Reloads(t *testing.T) {
	t.Parallel()
	g := gatewaytest.StartProcess(t, nomadtest.Simulated(t).URL, "")
	wims, wimsStderr := startWatch(t, g, "wim")
	anns, annsStderr := startWatch(t, g, "ann")
	text := testenv.ReadFile(t, g.ConfigFile())
	g.WriteConfig(t, strings.Replace(text, "users.ann", "users.eve", 1))
	sendSignal(t, g, syscall.SIGHUP)
	waitForLog(t, g, `changes="users.ann removed, users.eve added" stopped_commands=1`)
	anns.Wait()
	if got := annsStderr.String(); got != "nomadctld: your key is no longer accepted; ask the gateway's operator\n" {
		t.Errorf("the removed user got %q", got)
	}
	g.WriteConfig(t, text[:len(text)/2])
	sendSignal(t, g, syscall.SIGHUP)
	waitForLog(t, g, `configuration not reloaded; the earlier one stays in effect" cause=SIGHUP`)
	if client, err := g.TryDial("eve", "ann"); err != nil {
		t.Errorf("the new user: %v", err)
	} else {
		client.Close()
	}
	if got := wimsStderr.String(); got != "" {
		t.Errorf("another user got %q", got)
	}
	stopWithCode(t, g, 0)
	if err := wims.Wait(); err == nil {
		t.Error("another user's command ended with success")
	}
}

// TestSigusr1_Drains expects that the process runs until SIGTERM, which stops the command that is still running.
func TestSigusr1_Drains(t *testing.T) {
	t.Parallel()
	g := gatewaytest.StartProcess(t, nomadtest.Simulated(t).URL, "")
	session, stderr := startWatch(t, g, "wim")
	sendSignal(t, g, syscall.SIGUSR1)
	waitForLog(t, g, "draining")
	testenv.Eventually(t, "new connections are refused", func() bool {
		client, err := g.TryDial("ann", "ann")
		if err == nil {
			client.Close()
		}
		return err != nil
	})
	testenv.Eventually(t, "the command gets a notice", func() bool {
		return strings.Contains(stderr.String(), "the gateway will be stopped soon")
	})
	stopWithCode(t, g, 0)
	session.Wait()
	if got := stderr.String(); !strings.HasSuffix(got, "nomadctld: the gateway is shutting down\n") {
		t.Errorf("the command got %q", got)
	}
}

// TestSigterm_SecondExitsAtOnce sends SIGHUP between two SIGTERMs. It must not count as the second one.
func TestSigterm_SecondExitsAtOnce(t *testing.T) {
	t.Parallel()
	g := gatewaytest.StartProcess(t, nomadtest.Simulated(t).URL, "")
	startWatch(t, g, "wim")
	sendSignal(t, g, syscall.SIGTERM)
	waitForLog(t, g, "msg=stopping")
	sendSignal(t, g, syscall.SIGHUP)
	stopWithCode(t, g, 128+int(syscall.SIGTERM))
}

// TestReloadAndDrain_Commands runs nomadctld reload and nomadctld drain.
func TestReloadAndDrain_Commands(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "control.sock")
	g := gatewaytest.StartProcess(t, nomadtest.Simulated(t).URL, fmt.Sprintf("general.control = %q", socket))
	text := testenv.ReadFile(t, g.ConfigFile())
	run := func(words ...string) (code int, stdout, stderr string) {
		cmd := exec.Command("nomadctld", append([]string{"-config", g.ConfigFile()}, words...)...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		cmd.Run()
		return cmd.ProcessState.ExitCode(), out.String(), errs.String()
	}
	g.WriteConfig(t, strings.Replace(text, "users.ann", "users.eve", 1))
	if code, stdout, stderr := run("reload"); code != 0 || !strings.Contains(stdout, "\nchange: users.ann removed\n") {
		t.Errorf("reload: got %d, %q, %q", code, stdout, stderr)
	}
	g.WriteConfig(t, text+"\nnosuch = 1\n")
	if code, stdout, stderr := run("reload"); code != 1 || stdout != "" ||
		!strings.Contains(stderr, "unknown key nosuch") ||
		!strings.HasSuffix(stderr, "the running gateway is not affected\n") {
		t.Errorf("reload of an error: got %d, %q, %q", code, stdout, stderr)
	}
	g.WriteConfig(t, text)
	if code, stdout, stderr := run("drain", "--wait", "1m"); code != 0 || stdout !=
		"drained: nothing is running; the gateway can be stopped\n" {
		t.Errorf("drain: got %d, %q, %q", code, stdout, stderr)
	}
	stopWithCode(t, g, 0)
	if code, _, stderr := run("reload"); code != 1 || !strings.Contains(stderr, "is it running") {
		t.Errorf("without a gateway: got %d, %q", code, stderr)
	}
	for _, words := range [][]string{{"reload", "x"}, {"drain", "--wait", "x"}, {"drain", "--wait", "-1s"}} {
		if code, _, stderr := run(words...); code != 2 || !strings.Contains(stderr, words[0]) {
			t.Errorf("%q: got %d, %q, want 2", words, code, stderr)
		}
	}
}
