package gatewaytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"testing"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/audit"
	"nomadctld/internal/testenv"
)

// SSH returns a command of the OpenSSH client.
func (g *Gateway) SSH(user string, words ...string) *exec.Cmd {
	return exec.Command("ssh", append([]string{"-F", g.Dir.Path("ssh_config"), user}, words...)...)
}

// Run runs a command line with the OpenSSH client, as a user with the key of wim.
func (g *Gateway) Run(login, line string) (code int, stdout, stderr string) {
	cmd := exec.Command("ssh", "-n", "-F", g.Dir.Path("ssh_config"), "-l", login, "wim", line)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// Dial logs in with the Go client. The connection is closed after the test.
func (g *Gateway) Dial(t testing.TB, user string) *ssh.Client {
	t.Helper()
	client, err := g.TryDial(user, user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// TryDial logs in with the Go client and the key of a user. The caller closes the connection.
func (g *Gateway) TryDial(login, key string) (*ssh.Client, error) {
	return ssh.Dial("tcp", g.Address, &ssh.ClientConfig{
		User: login, Auth: []ssh.AuthMethod{ssh.PublicKeys(g.Keys[key])},
		HostKeyCallback: ssh.FixedHostKey(g.Keys["hostkey"].PublicKey()),
	})
}

// RunLine runs a command line on a connection. err is nil if its exit code is 0.
func RunLine(t testing.TB, client *ssh.Client, line string) (stdout, stderr string, err error) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	var out, errs bytes.Buffer
	session.Stdout, session.Stderr = &out, &errs
	err = session.Run(line)
	if exit := (*ssh.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", line, err)
	}
	return out.String(), errs.String(), err
}

// Log returns the log of a gateway process.
func (g *Gateway) Log(t testing.TB) string {
	t.Helper()
	return testenv.ReadFile(t, g.Dir.Path("log"))
}

// Events returns the end events in the audit log.
func (g *Gateway) Events(t testing.TB) (events []audit.Event) {
	t.Helper()
	for line := range bytes.Lines([]byte(testenv.ReadFile(t, g.Dir.Path("audit")))) {
		var e audit.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if e.Kind == audit.End {
			events = append(events, e)
		}
	}
	return events
}

// LastEvent returns the last end event in the audit log.
func (g *Gateway) LastEvent(t testing.TB) audit.Event {
	t.Helper()
	events := g.Events(t)
	return events[len(events)-1]
}
