package e2e

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
)

// Tests of the script nomadctl in each installed shell, against a real gateway.

const nomadctlScript = "../../nomadctl"

// nomadctlClient is a home directory and an environment for nomadctl.
type nomadctlClient struct {
	t     testing.TB
	shell []string
	home  string
	env   map[string]string
}

// forEachShell calls test for each installed shell.
func forEachShell(t *testing.T, test func(t *testing.T, c *nomadctlClient)) {
	for _, shell := range []string{"dash", "bash", "busybox"} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("no %s: apt-get install %[1]s", shell)
			}
			argv := []string{shell}
			if shell == "busybox" {
				argv = append(argv, "sh")
			}
			test(t, newClient(t, argv...))
		})
	}
}

func newClient(t testing.TB, shell ...string) *nomadctlClient {
	t.Helper()
	testenv.NeedSSH(t)
	// Stat also makes cached test results depend on the script.
	if _, err := os.Stat(nomadctlScript); err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "nc") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	c := &nomadctlClient{t: t, shell: shell, home: home, env: map[string]string{
		"HOME": home, "XDG_RUNTIME_DIR": home, "XDG_CONFIG_HOME": filepath.Join(home, "config"), "PATH": os.Getenv("PATH"),
		"TERM": "xterm", "NOMADCTL_SSH_OPTIONS": "-F /dev/null -o GlobalKnownHostsFile=/dev/null -o IdentityAgent=none",
	}}
	t.Cleanup(func() { // close the shared connections
		sockets, _ := filepath.Glob(filepath.Join(home, "nomadctl", "*"))
		for _, socket := range sockets {
			exec.Command("ssh", "-F", "/dev/null", "-o", "ControlPath="+socket, "-O", "exit", "x").Run()
		}
	})
	return c
}

// setGateway sets the environment for a gateway and a user.
func (c *nomadctlClient) setGateway(g *gatewaytest.Gateway, user string) {
	host, port, _ := net.SplitHostPort(g.Address)
	c.env["NOMADCTL_HOST"], c.env["NOMADCTL_PORT"], c.env["NOMADCTL_USER"] = host, port, user
	c.env["NOMADCTL_KEY"] = g.Dir.Path(user)
	known, err := os.ReadFile(g.Dir.Path("known_hosts"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("config/nomadctl/known_hosts", string(known))
}

func (c *nomadctlClient) write(name, text string) {
	c.t.Helper()
	file := filepath.Join(c.home, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *nomadctlClient) read(name string) string {
	text, err := os.ReadFile(filepath.Join(c.home, name))
	if err != nil {
		return ""
	}
	return string(text)
}

func (c *nomadctlClient) command(words ...string) *exec.Cmd {
	script, err := filepath.Abs(nomadctlScript)
	if err != nil {
		c.t.Fatal(err)
	}
	argv := slices.Concat(c.shell, []string{script}, words)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = c.home
	for name, value := range c.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

func (c *nomadctlClient) run(stdin string, words ...string) (stdout, stderr string, code int) {
	cmd := c.command(words...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// fakeSSH replaces ssh with a program that prints its arguments, one per line.
func (c *nomadctlClient) fakeSSH() {
	c.write("bin/ssh", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
	if err := os.Chmod(filepath.Join(c.home, "bin/ssh"), 0o700); err != nil {
		c.t.Fatal(err)
	}
	c.env["PATH"] = filepath.Join(c.home, "bin") + ":" + c.env["PATH"]
}

// boxGateway starts a gateway with p-team1-box, a task whose programs are processes.
func boxGateway(t *testing.T) *gatewaytest.Gateway {
	t.Helper()
	cluster := nomadtest.Simulated(t)
	task := nomadsim.Task{Name: "box", Driver: "raw_exec", Command: []string{"sleep", "3600"}}
	cluster.Sim.AddJob(boxJob(task, newAllocation()))
	return gatewaytest.Start(t, cluster.URL, "")
}

func lookPath(t *testing.T, program string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(err)
	}
	return path
}
