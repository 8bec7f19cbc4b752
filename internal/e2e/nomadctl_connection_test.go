package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/testenv"
)

func TestNomadctl_SharesConnection(t *testing.T) {
	t.Parallel()
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		g := boxGateway(t)
		c.setGateway(g, "wim")
		for range 5 {
			if _, errs, code := c.run("", "whoami"); code != 0 {
				t.Fatal(errs)
			}
		}
		c.run("", "__complete", "--", "ps", "p")
		connections, commands := map[string]bool{}, 0
		for _, e := range g.Events(t) {
			connections[e.Connection] = true
			commands++
		}
		if len(connections) != 1 || commands != 7 { // one more to open the connection
			t.Errorf("%d commands on %d connections, want 7 on 1", commands, len(connections))
		}
		info, err := os.Stat(filepath.Join(c.home, "nomadctl"))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("directory of the sockets: %v, %v", info.Mode(), err)
		}
		c.env["NOMADCTL_USER"] = "ann"
		c.env["NOMADCTL_KEY"] = g.Dir.Path("ann")
		if out, _, _ := c.run("", "whoami"); !strings.HasPrefix(out, "ann ") {
			t.Errorf("another user got %q: the connection of wim", out)
		}
	})
}

// TestNomadctl_KilledWhileConnecting uses a server that accepts connections and sends nothing.
func TestNomadctl_KilledWhileConnecting(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.setGateway(g, "wim")
		_, c.env["NOMADCTL_PORT"], _ = net.SplitHostPort(silent.Addr().String())
		for signal, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGHUP: 129, syscall.SIGINT: 130} {
			cmd := c.command("whoami")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			conn, err := silent.Accept()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Process.Signal(signal)
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != want {
				t.Errorf("%s: got %d, want %d", signal, got, want)
			}
			conn.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, conn); err != nil { // EOF when ssh exits
				t.Errorf("%s: ssh is still running: %v", signal, err)
			}
			conn.Close()
			if left, _ := filepath.Glob(filepath.Join(c.home, "nomadctl", "*")); len(left) > 0 {
				t.Errorf("%s: files are left: %q", signal, left)
			}
		}
	})
}

func TestNomadctl_DeadSocket(t *testing.T) {
	t.Parallel()
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		g := boxGateway(t)
		c.setGateway(g, "wim")
		c.run("", "whoami")
		sockets, _ := filepath.Glob(filepath.Join(c.home, "nomadctl", "*"))
		if len(sockets) != 1 {
			t.Fatalf("got sockets %q, want one", sockets)
		}
		exec.Command("ssh", "-F", "/dev/null", "-o", "ControlPath="+sockets[0], "-O", "exit", "x").Run()
		testenv.Eventually(t, "the connection is closed", func() bool { _, err := os.Stat(sockets[0]); return err != nil })
		listener, err := net.Listen("unix", sockets[0])
		if err != nil {
			t.Fatal(err)
		}
		listener.(*net.UnixListener).SetUnlinkOnClose(false)
		listener.Close()
		if out, errs, code := c.run("", "whoami"); !strings.HasPrefix(out, "wim ") || errs != "" || code != 0 {
			t.Errorf("got %q, %q, %d", out, errs, code)
		}
	})
}

func TestNomadctl_ConnectionErrors(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, closed, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close()
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.setGateway(g, "wim")
		want := func(what string, code int, text string, words ...string) {
			t.Helper()
			out, errs, got := c.run("", words...)
			if !regexp.MustCompile(text).MatchString(errs) || got != code {
				t.Errorf("%s: got %q, %q, %d, want %s, %d", what, out, errs, got, text, code)
			}
		}
		port := c.env["NOMADCTL_PORT"]
		c.env["NOMADCTL_PORT"] = closed
		want("down", 255, `^nomadctl: no connection to 127\.0\.0\.1: connect to host 127\.0\.0\.1 port \d+: `+
			`Connection refused\n$`, "ps")
		// Nothing follows the reason, which would scroll off the screen.
		want("no command", 255, `^nomadctl: no connection to 127\.0\.0\.1: connect to host 127\.0\.0\.1 port \d+: `+
			`Connection refused\n$`)
		if out, errs, code := c.run("", "__complete", "--", "ps", ""); out+errs != "" || code != 0 {
			t.Errorf("completion printed an error: got %q, %q, %d", out, errs, code)
		}
		if out, errs, code := c.run("", "__complete", "--", ""); out+errs != "" || code != 0 {
			t.Errorf("completion printed an error: got %q, %q, %d", out, errs, code)
		}
		c.env["NOMADCTL_PORT"] = port

		c.env["NOMADCTL_USER"] = "ann"
		want("wrong key", 255, `^nomadctl: no connection to 127\.0\.0\.1: ann@127\.0\.0\.1: Permission denied `+
			`\(publickey\)\.\n$`, "ps")
		c.env["NOMADCTL_USER"] = "wim"

		other, err := g.Dir.NewKey("other")
		if err != nil {
			t.Fatal(err)
		}
		known := c.read("config/nomadctl/known_hosts")
		c.write("config/nomadctl/known_hosts", fmt.Sprintf("[127.0.0.1]:%s %s", port,
			ssh.MarshalAuthorizedKey(other.PublicKey())))
		want("changed host key", 255, `(?s)REMOTE HOST IDENTIFICATION HAS CHANGED.*\nnomadctl: no connection to `+
			`127\.0\.0\.1: its host key does not match the known key\n$`, "ps")
		c.write("config/nomadctl/known_hosts", known)

		folder := filepath.Join(c.home, "nomadctl")
		if err := os.Chmod(folder, 0o770); err != nil {
			t.Fatal(err)
		}
		want("writable directory", 2, `^nomadctl: .*/nomadctl is a link or writable by other users; .*\n$`, "ps")
		os.RemoveAll(folder)
		os.Symlink(t.TempDir(), folder)
		want("linked directory", 2, `^nomadctl: .*/nomadctl is a link or writable by other users; .*\n$`, "ps")
		os.Remove(folder)
		want("private directory", 0, `^$`, "whoami")

		// If the path is too long for a socket, the connection is not shared, but commands work.
		c.env["XDG_RUNTIME_DIR"] = filepath.Join(t.TempDir(), strings.Repeat("x", 80))
		os.Mkdir(c.env["XDG_RUNTIME_DIR"], 0o700)
		want("too long for a socket", 0, `^$`, "whoami")

		if len(c.shell) == 1 {
			c.shell[0], _ = exec.LookPath(c.shell[0])
			c.env["PATH"] = "/nowhere"
			want("no ssh", 255, `^nomadctl: ssh not found: install an OpenSSH client\n$`, "ps")
		}
	})
}
