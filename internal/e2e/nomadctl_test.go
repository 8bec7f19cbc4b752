package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/router"
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

func TestNomadctl_ArgumentsAsTyped(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	words := []string{
		"a  b", "", "#comment", "a#b", "~", "~root", "it's", "''", `"q"`, "two\nlines", "ends\n", "\n", "\ttab ",
		`back\slash\`, `\'`,
		"$HOME", "`id`", "$(id)", "*", "?", "-e", "--", "--help", ";", "a;b", "|", "&", ">x", "{a,b}", "!!", "=x", "é",
		"%s", strings.Repeat("'", 50),
	}
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.setGateway(g, "wim")
		out, errs, code := c.run("", append([]string{"exec", "p-team1-box", "printf", `%s\0`}, words...)...)
		if want := strings.Join(words, "\x00") + "\x00"; out != want || errs != "" || code != 0 {
			t.Errorf("got %q, %q, %d, want %q", out, errs, code, want)
		}
		out, errs, code = c.run("", "exec", "p-team1-box", "sh", "-c", `printf '<%s>' a "b  c" "$0"`, "d  e")
		if want := "<a><b  c><d  e>"; out != want || errs != "" || code != 0 {
			t.Errorf("got %q, %q, %d, want %q", out, errs, code, want)
		}
		out, _, _ = c.run("", "exec", "p-team1-box", "-c", `echo "x  y" | tr a-z A-Z`)
		if want := "X  Y\n"; out != want {
			t.Errorf("got %q, want %q", out, want)
		}
		c.env["LC_ALL"] = "C.UTF-8"
		for _, long := range []string{strings.Repeat("x", 100_000), strings.Repeat("é", 50_000)} {
			_, errs, code = c.run("", "exec", "p-team1-box", "echo", long, long)
			if want := "nomadctl: the arguments are too long for one command line: 200"; !strings.HasPrefix(errs,
				want) || code != 2 {
				t.Errorf("too long: got %.200q, %d, want %q, 2", errs, code, want)
			}
		}
		half := strings.Repeat("é", 30_000)
		if out, errs, code = c.run("", "exec", "p-team1-box", "echo", half, half); out != half+" "+half+"\n" || code != 0 {
			t.Errorf("not too long: got %d bytes, %.200q, %d", len(out), errs, code)
		}
	})
}

func TestNomadctl_StreamsAndExitCodes(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.setGateway(g, "wim")
		for _, tc := range []struct {
			words               []string
			stdin, out, stderrs string
			code                int
		}{
			{[]string{"exec", "p-team1-box", "cat"}, "in\x00\xff\r\n", "in\x00\xff\r\n", "", 0},
			{[]string{"exec", "p-team1-box", "sh", "-c", "echo o; echo e >&2; exit 7"}, "", "o\n", "e\n", 7},
			// a lost connection would print an error
			{[]string{"exec", "p-team1-box", "--", "sh", "-c", "exit 255"}, "", "", "", 255},
			{[]string{"exec", "p-team1-box", "sh", "-c", "kill -TERM $$"}, "", "", "", 143},
			{[]string{"inspect", "nothing"}, "", "", "nomadctld: no job nothing (see: ps --all)\n", 1},
			{[]string{"sp"}, "", "", "nomadctld: no command sp: did you mean ps? (see: help)\n", 2},
			{
				[]string{"--", "can-i", "ps", "x"},
				"",
				"no: none of your prefixes matches its ID (ps is in the set @read)\n", "", 1,
			},
		} {
			out, errs, code := c.run(tc.stdin, tc.words...)
			if out != tc.out || errs != tc.stderrs || code != tc.code {
				t.Errorf("%q: got %q, %q, %d, want %q, %q, %d", tc.words, out, errs, code, tc.out, tc.stderrs, tc.code)
			}
		}
	})
}

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

// TestNomadctl_HostKeyAlias uses a host with HostKeyAlias in the ssh configuration.
func TestNomadctl_HostKeyAlias(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	host, port, _ := net.SplitHostPort(g.Address)
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		if _, err := exec.LookPath("ssh-keyscan"); err != nil {
			t.Skip("no ssh-keyscan: apt-get install openssh-client")
		}
		// ssh reads its configuration from the home directory of the account, not from $HOME.
		c.write("bin/ssh", fmt.Sprintf("#!/bin/sh\nexec %s -F %s/ssh_config \"$@\"\n", lookPath(t, "ssh"), c.home))
		os.Chmod(filepath.Join(c.home, "bin/ssh"), 0o700)
		c.env["PATH"] = filepath.Join(c.home, "bin") + ":" + c.env["PATH"]
		c.env["NOMADCTL_SSH_OPTIONS"] = "-o GlobalKnownHostsFile=/dev/null -o IdentityAgent=none -o BatchMode=yes"
		c.write("ssh_config", fmt.Sprintf("Host gwa\n HostName %s\n Port %s\n HostKeyAlias my-gateway\n", host, port))
		fingerprint := ssh.FingerprintSHA256(g.Keys["hostkey"].PublicKey())
		if _, errs, code := c.run("", "setup", "--user", "wim", "--key", g.Dir.Path("wim"), "--accept", fingerprint,
			"gwa", "gwa"); errs != "" || code != 0 {
			t.Fatalf("got %q, %d", errs, code)
		}
		if out, errs, code := c.run("", "whoami"); !strings.HasPrefix(out, "wim ") || code != 0 {
			t.Errorf("got %q, %q, %d", out, errs, code)
		}
	})
}

func lookPath(t *testing.T, program string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(err)
	}
	return path
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

// TestNomadctl_CompletionDeadConnection stops the master process of the connection, to simulate a lost network.
func TestNomadctl_CompletionDeadConnection(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.setGateway(g, "wim")
		c.run("", "whoami")
		sockets, _ := filepath.Glob(filepath.Join(c.home, "nomadctl", "*"))
		if len(sockets) != 1 {
			t.Fatalf("got sockets %q, want one", sockets)
		}
		status, err := exec.Command("ssh", "-F", "/dev/null", "-o", "ControlPath="+sockets[0], "-O", "check",
			"x").CombinedOutput()
		found := regexp.MustCompile(`pid=(\d+)`).FindSubmatch(status)
		if found == nil {
			t.Fatalf("%s %v", status, err)
		}
		pid, _ := strconv.Atoi(string(found[1]))
		syscall.Kill(pid, syscall.SIGSTOP)
		t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
		if out, errs, code := c.run("", "__complete", "--", "ps", "p"); out+errs != "" || code != 0 {
			t.Errorf("got %q, %q, %d, want nothing", out, errs, code)
		}
		// The same with a shared connection of the user.
		options := c.env["NOMADCTL_SSH_OPTIONS"]
		c.env["NOMADCTL_SSH_OPTIONS"] += " -o ControlPath=" + sockets[0]
		if out, errs, code := c.run("", "__complete", "--", "ps", "p"); out+errs != "" || code != 0 {
			t.Errorf("connection of the user: got %q, %q, %d, want nothing", out, errs, code)
		}
		c.env["NOMADCTL_SSH_OPTIONS"] = options
		processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range processes {
			if text, _ := os.ReadFile(file); bytes.Contains(text, []byte(sockets[0])) &&
				bytes.Contains(text, []byte("complete")) {
				t.Errorf("a process is still running: %q", text)
			}
		}
		syscall.Kill(pid, syscall.SIGCONT)
		out, _, _ := c.run("", "__complete", "--", "ps", "p-team1-bo")
		for try := 1; out == "" && try < 3; try++ { // nothing if the gateway is slow
			out, _, _ = c.run("", "__complete", "--", "ps", "p-team1-bo")
		}
		if !strings.HasPrefix(out, "p-team1-box\t") {
			t.Errorf("connection restored: got %q", out)
		}
		if left, _ := filepath.Glob(filepath.Join(c.home, "nomadctl", "*")); len(left) != 1 {
			t.Errorf("files are left: %q", left)
		}
	})
}

func TestNomadctl_RequestsTerminal(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.setGateway(g, "wim")
		probe := "if test -t 0; then echo is a ter''minal; else echo is no'ne'; fi"
		on := onTerminal(t, c.command("exec", "p-team1-box", "-c", probe), 80, 24)
		on.expect("is a terminal\r\n")
		on.waitExit()
		on = onTerminal(t, c.command("-T", "exec", "p-team1-box", "-c", probe), 80, 24)
		on.expect("is none\r\n")
		on.waitExit()
		if out, _, _ := c.run("", "exec", "p-team1-box", "-c", probe); out != "is none\n" {
			t.Errorf("without a local terminal: got %q", out)
		}
		// No terminal if the output is a pipe.
		piped := c.command("exec", "p-team1-box", "-c", probe)
		piped.Args = append([]string{"sh", "-c", `"$@" | od -c`, "sh"}, piped.Args...)
		piped.Path, _ = exec.LookPath("sh")
		on = onTerminal(t, piped, 80, 24)
		on.expect(`n   o   n   e  \n`)
		on.waitExit()
		// Colours, unless NO_COLOR is set.
		for value, want := range map[string]bool{"": true, "1": false} {
			c.env["NO_COLOR"] = value
			on = onTerminal(t, c.command("ps", "team1-fail"), 120, 24)
			if _, got := on.waitExit(); strings.Contains(got, "\x1b[") != want || !strings.Contains(got, "p-team1-fail FAIL") {
				t.Errorf("NO_COLOR=%s: got %q, want colors: %v", value, got, want)
			}
		}

		c.fakeSSH()
		for _, spec := range router.Specs() {
			if spec.Hidden {
				continue
			}
			want := "-T\r\n"
			if spec.WantsTerminal {
				want = "-t\r\n"
			}
			on := onTerminal(t, c.command(spec.Name, "x"), 80, 24)
			if _, got := on.waitExit(); !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %.20q, want %q", spec.Name, got, want)
			}
		}
	})
}

func TestNomadctl_FindsGateway(t *testing.T) {
	t.Parallel()
	const two = "# mine\n\n[work]\n host=gw.example.org\r\nport = 2222 \nuser= ann\nkey = ~/.ssh/k e y\n" +
		"ssh_options = -o ProxyJump=bastion -4\n; other\n[home-2]\nhost = ::1\n"
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		c.fakeSSH()
		home := c.home
		for _, tc := range []struct {
			name, config string
			env          map[string]string
			words        []string
			want         string // in the arguments of ssh, joined by spaces, or in the error
			code         int
		}{
			{"first gateway", two, nil, []string{"ps"}, "-p 2222 -l ann -o IdentitiesOnly=yes -o IdentityFile=\"" +
				home + "/.ssh/k e y\" ", 0},
			{"its options come first", two, nil, []string{"ps"}, "-T -o ProxyJump=bastion -4 ", 0},
			{"no newline at the end", "[a]\nhost = h", nil, []string{"ps"}, " -- h ps", 0},
			{"by name", two, nil, []string{"-s", "home-2", "ps"}, " -- ::1 ps", 0},
			{"by name, one word", two, nil, []string{"-shome-2", "ps"}, " -- ::1 ps", 0},
			{"default wins", two + "[default]\nhost = d\n", nil, []string{"ps"}, " -- d ps", 0},
			{"default keeps nothing of the first", two + "[default]\nhost = d\n", nil, []string{"ps"}, "ControlPersist=10m", 0},
			{"environment", two, map[string]string{"NOMADCTL_USER": "eve"}, []string{"ps"}, "-p 2222 -l eve ", 0},
			{"environment alone", "", map[string]string{"NOMADCTL_HOST": "e", "NOMADCTL_PORT": "7"}, []string{"ps"}, "-p 7 ", 0},
			{"environment and file", two, map[string]string{"NOMADCTL_HOST": "e"}, []string{"ps"}, " -- e ps", 0},
			{
				"-s overrides environment", two,
				map[string]string{"NOMADCTL_HOST": "e", "NOMADCTL_USER": "u"},
				[]string{"-s", "work", "ps"},
				"-l ann ", 0,
			},
			{"no file name expansion", "[a]\nhost = h\nssh_options = -4 * -6\n", nil, []string{"ps"}, "-4 * -6 ", 0},
			{
				"no execution", "[a]\nhost = h\nssh_options = $(touch x) `touch x`\n", nil,
				[]string{"ps"},
				"$(touch x) `touch x` ", 0,
			},
			{
				"jump host named control", "[a]\nhost = h\nssh_options = -J controls.example.org\n", nil,
				[]string{"ps"},
				"ControlPersist=10m", 0,
			},
			{"no colors", two, nil, []string{"ps"}, "-o SendEnv=NO_COLOR", 0},
			{
				"unknown name", two, nil,
				[]string{"-s", "nope", "ps"},
				"nomadctl: gateway nope is not configured (configured: work home-2)\n", 2,
			},
			{
				"no gateway", "", nil,
				[]string{"ps"},
				"nomadctl: no gateway: run nomadctl setup NAME HOST[:PORT], or set NOMADCTL_HOST", 2,
			},
			{
				"no gateway, by name", "", nil,
				[]string{"-s", "x", "ps"},
				"nomadctl: gateway x is not configured: run nomadctl setup x HOST", 2,
			},
			{
				"a port in the host", "[a]\nhost = h:22\n", nil,
				[]string{"ps"},
				"not a host name: h:22 (set the port with port or NOMADCTL_PORT)", 2,
			},
			{"host missing", "[a]\nport = 1\n", nil, []string{"ps"}, "[a] has no host", 2},
			{"unknown setting", "[a]\nhots = h\n", nil, []string{"ps"}, "config: line 2: unknown setting hots (known: host,", 2},
			{"section missing", "host = h\n", nil, []string{"ps"}, "config: line 1: expected [NAME] before the settings", 2},
			{"not a setting", "[a]\nhost h\n", nil, []string{"ps"}, "config: line 2: expected [NAME] or KEY = VALUE", 2},
			{"duplicate section", "[a]\nhost = h\n[a]\n", nil, []string{"ps"}, "config: line 3: [a] is defined twice", 2},
			{"invalid name", "[a b]\n", nil, []string{"ps"}, "config: line 1: not a valid name (use letters", 2},
			{
				"an option for a host", "[a]\nhost = -oProxyCommand=x\n", nil,
				[]string{"ps"},
				"not a host name: -oProxyCommand=x", 2,
			},
			{"invalid port", "[a]\nhost = h\nport = x\n", nil, []string{"ps"}, "not a port: x", 2},
			{"an option for a user", "[a]\nhost = h\nuser = -v\n", nil, []string{"ps"}, "not a user name: -v", 2},
			{
				"unknown option", two, nil,
				[]string{"--json", "ps"},
				"nomadctl: unknown option --json; options of a command come after its name", 2,
			},
			{"-s alone", two, nil, []string{"-s"}, "nomadctl: -s needs the name of a gateway", 2},
			{"help", "", nil, []string{"--help"}, "Usage: nomadctl [-s NAME]", 0},
			{"version", "", nil, []string{"--version"}, "nomadctl 1", 0},
			{"unknown shell", "", nil, []string{"completion", "csh"}, "usage: nomadctl completion bash|zsh|fish", 2},
		} {
			c.write("config/nomadctl/config", tc.config)
			delete(c.env, "NOMADCTL_SSH_OPTIONS")
			for name, value := range tc.env {
				c.env[name] = value
			}
			out, errs, code := c.run("", tc.words...)
			for name := range tc.env {
				delete(c.env, name)
			}
			got := strings.ReplaceAll(strings.TrimSuffix(out, "\n"), "\n", " ") + " " + errs
			if !strings.Contains(got, tc.want) || code != tc.code {
				t.Errorf("%s: got %q, %d, want %q, %d", tc.name, got, code, tc.want, tc.code)
			}
			if tc.name == "default keeps nothing of the first" && strings.Contains(got, "ann") {
				t.Errorf("%s: got %q", tc.name, got)
			}
			if code == 2 && strings.Count(errs, "\n") != 1 {
				t.Errorf("%s: got %q, want one line", tc.name, errs)
			}
		}
		if _, err := os.Stat(filepath.Join(home, "x")); err == nil {
			t.Error("a command of the configuration was run")
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
		out, errs, code := c.run("")
		if !strings.Contains(out, "\n  ps  ") || !strings.Contains(errs,
			"nomadctl: showing the built-in list of commands instead\n") || code != 255 {
			t.Errorf("no command, no gateway: got %q, %q, %d", out, errs, code)
		}
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
		want("private directory", 0, `^$`, "ps")

		// If the path is too long for a socket, the connection is not shared, but commands work.
		c.env["XDG_RUNTIME_DIR"] = filepath.Join(t.TempDir(), strings.Repeat("x", 80))
		os.Mkdir(c.env["XDG_RUNTIME_DIR"], 0o700)
		want("too long for a socket", 0, `^$`, "ps")

		if len(c.shell) == 1 {
			c.shell[0], _ = exec.LookPath(c.shell[0])
			c.env["PATH"] = "/nowhere"
			want("no ssh", 255, `^nomadctl: ssh not found: install an OpenSSH client\n$`, "ps")
		}
	})
}

func TestNomadctl_Setup(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	fingerprint := ssh.FingerprintSHA256(g.Keys["hostkey"].PublicKey())
	host := g.Address
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		if _, err := exec.LookPath("ssh-keyscan"); err != nil {
			t.Skip("no ssh-keyscan: apt-get install openssh-client")
		}
		setup := func(words ...string) (string, string, int) {
			return c.run("", append([]string{"setup", "--user", "wim", "--key", g.Dir.Path("wim")}, words...)...)
		}
		const file, known = "config/nomadctl/config", "config/nomadctl/known_hosts"

		// A wrong fingerprint: nothing is saved.
		_, errs, code := setup("--accept", "SHA256:nope", "work", host)
		if !strings.Contains(errs, "nothing was saved (found: "+fingerprint) || code != 1 ||
			c.read(file)+c.read(known) != "" {
			t.Errorf("wrong fingerprint: got %q, %d, %q", errs, code, c.read(file))
		}
		// No terminal: the key is printed, but not saved.
		out, errs, code := setup("work", host)
		if !strings.Contains(out, fingerprint) || !strings.Contains(errs, "the host key was not saved") || code != 1 ||
			c.read(known) != "" {
			t.Errorf("no terminal: got %q, %q, %d, %q", out, errs, code, c.read(known))
		}
		_, port, _ := net.SplitHostPort(host)
		want := "[work]\nhost = 127.0.0.1\nport = " + port + "\nuser = wim\nkey = " + g.Dir.Path("wim") + "\n"
		if got := c.read(file); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		c.env["NOMADCTL_SSH_OPTIONS"] += " -o BatchMode=yes"
		if _, errs, code := c.run("", "whoami"); !strings.Contains(errs, "Host key verification failed") || code != 255 {
			t.Errorf("unknown host key: got %q, %d", errs, code)
		}
		if _, errs, code := setup("work", host); !strings.HasPrefix(errs, "nomadctl: work is already configured") ||
			code != 2 {
			t.Errorf("second setup: got %q, %d", errs, code)
		}
		// Yes or no on a terminal.
		argv := []string{"setup", "--replace", "--user", "wim", "--key", g.Dir.Path("wim"), "work", host}
		on := onTerminal(t, c.command(argv...), 200, 24)
		on.expect(fingerprint)
		on.expect("Is it correct?")
		on.send("no\n")
		if code, rest := on.waitExit(); code != 1 || !strings.Contains(rest, "nothing was saved") || c.read(known) != "" {
			t.Errorf("no: got %d, %q, %q", code, rest, c.read(known))
		}
		on = onTerminal(t, c.command(argv...), 200, 24)
		on.expect("Is it correct?")
		on.send("yes\n")
		if code, rest := on.waitExit(); code != 0 || !strings.Contains(c.read(known), "ssh-ed25519 ") {
			t.Errorf("yes: got %d, %q, %q", code, rest, c.read(known))
		}
		if out, errs, code := c.run("", "whoami"); !strings.HasPrefix(out, "wim ") || code != 0 {
			t.Errorf("after setup: got %q, %q, %d", out, errs, code)
		}
		// A second gateway leaves the configuration of the first unchanged. The host key is replaced.
		c.write(file, "# mine\n"+c.read(file)+"ssh_options = -v\n")
		if _, errs, code := setup("--accept="+fingerprint, "more", host); errs != "" || code != 0 {
			t.Errorf("second gateway: got %q, %d", errs, code)
		}
		before := "# mine\n" + want + "ssh_options = -v\n"
		if got, want := c.read(file), before+"\n"+strings.Replace(want, "work", "more", 1); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := strings.Count(c.read(known), "\n"); n != 1 {
			t.Errorf("got %d host keys, want 1", n)
		}
		// --replace keeps the position of the gateway, and the settings that are not given.
		c.write(file, "# mine\n[work]\n# a bastion\nhost = old\nuser = wim\nkey = "+g.Dir.Path("wim")+"\nssh_options "+
			"= -o ServerAliveInterval=5\n\n[home]\nhost = h\n")
		if _, errs, code := c.run("", "setup", "--replace", "--accept", fingerprint, "work", host); errs != "" || code != 0 {
			t.Errorf("replaced: got %q, %d", errs, code)
		}
		replaced := "# mine\n[work]\nhost = 127.0.0.1\nport = " + port + "\nuser = wim\nkey = " + g.Dir.Path("wim") +
			"\nssh_options = -o ServerAliveInterval=5\n# a bastion\n\n[home]\nhost = h\n"
		if got := c.read(file); got != replaced {
			t.Errorf("replaced: got %q, want %q", got, replaced)
		}
		if out, errs, code := c.run("", "whoami"); !strings.HasPrefix(out, "wim ") || code != 0 {
			t.Errorf("replaced, without -s: got %q, %q, %d", out, errs, code)
		}
		if _, errs, code := c.run("", "setup", "--replace", "--user", "ann", "--accept", fingerprint, "work",
			host); errs != "" || code != 0 || c.read(file) != strings.Replace(replaced, "wim", "ann", 1) {
			t.Errorf("replaced user: got %q, %d, %q", errs, code, c.read(file))
		}

		for _, tc := range []struct {
			want  string
			words []string
		}{
			{"usage: nomadctl setup", []string{"x"}},
			{"unexpected argument: z", []string{"x", "y", "z"}},
			{"unknown flag --nope", []string{"--nope", "x", "y"}},
			{"not a valid name (use letters", []string{"a b", "y"}},
			{"not a port", []string{"x", "y:"}},
			{"not a port: 22x", []string{"x", "y:22x"}},
			{"not a host name: a b", []string{"x", "a b"}},
			{"key file nope does not exist", []string{"--key", "nope", "x", "y"}},
			{"not a user name: a b", []string{"--user", "a b", "x", "y"}},
			{"--user needs a value", []string{"x", "y", "--user"}},
		} {
			if _, errs, code := c.run("", append([]string{"setup"}, tc.words...)...); !strings.Contains(errs,
				tc.want) || code != 2 {
				t.Errorf("%q: got %q, %d, want %q, 2", tc.words, errs, code, tc.want)
			}
		}
	})
}

// TestNomadctl_CompletesOwnedJobs calls the script as the completion functions of the shells do.
func TestNomadctl_CompletesOwnedJobs(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		for _, tc := range []struct {
			user       string
			words      []string
			want, none string // regular expressions that must match, and must not
		}{
			{"wim", []string{""}, `(?m)^ps\t(.|\n)*^setup\t`, `complete\t`},
			{"wim", []string{"com"}, `^completion\t.*\n$`, ``},
			{"wim", []string{"completion", ""}, `^bash\t.*\nzsh\t.*\nfish\t.*\n$`, ``},
			{"wim", []string{"-T", "ps", "--js"}, `^--json\t.*\n$`, ``},
			{"wim", []string{"status", "p-team"}, `(?m)^p-team2-shop\t`, `evil`},
			{"wim", []string{"raw", "p"}, `^$`, ``}, // not granted
			{"wim", []string{"status", "it's", "\n"}, `^$`, ``},
			{"ann", []string{"status", ""}, `(?m)^p-team1-box\t`, `team2|team10|team3`},
			{"ann", []string{"exec", ""}, `(?m)^p-team1-box\t`, `team2|team10|team3`},
			{"ann", []string{"exec", "p-team2"}, `^$`, ``},
			{"ann", []string{"ps", "--tier", ""}, `^production\t\n$`, ``},
			{"ann", []string{"--"}, `^--help\t.*\n--version\t.*\n$`, ``},
		} {
			c.setGateway(g, tc.user)
			c.run("", "whoami") // opens the connection
			var out, errs string
			var code int
			for try := 0; out == "" && (try == 0 || tc.want != `^$` && try < 3); try++ { // nothing if the gateway is slow
				out, errs, code = c.run("", append([]string{"__complete", "--"}, tc.words...)...)
			}
			if !regexp.MustCompile(tc.want).MatchString(out) || errs != "" || code != 0 || tc.none != "" &&
				regexp.MustCompile(tc.none).MatchString(out) {
				t.Errorf("%s, %q: got %q, %q, %d, want %s and not %s", tc.user, tc.words, out, errs, code, tc.want, tc.none)
			}
		}
		delete(c.env, "NOMADCTL_HOST")
		c.write("config/nomadctl/config", "[work]\nhost = a\n[more]\nhost = b\n")
		if out, errs, _ := c.run("", "__complete", "--", "-s", "m"); out != "more\ta gateway\n" || errs != "" {
			t.Errorf("-s: got %q, %q", out, errs)
		}
		c.write("config/nomadctl/config", "nonsense\n")
		if out, errs, code := c.run("", "__complete", "--", "ps", ""); out+errs != "" {
			t.Errorf("invalid configuration: got %q, %q, %d", out, errs, code)
		}
	})
}

// completions are command lines before and after Tab.
var completions = []struct{ typed, line string }{
	{"who", "whoami"},
	{"inspect p-team1-bo", "inspect p-team1-box"},
	{"ps --tier=prod", "ps --tier=production"},
	{"ps --tier prod", "ps --tier production"},
	{"exec p-team1-box/g/", "exec p-team1-box/g/box"},
	{"status 'p-team1-bo", "status 'p-team1-box'"},
	{"status p-team1-col", "status p-team1-colon:x"},
	{"status p-team1-colon:", "status p-team1-colon:x"},
	{"status p-team2", "status p-team2"}, // not owned by ann
}

// shellClient returns a client for ann, with nomadctl on PATH and an open connection.
func shellClient(t *testing.T, shell string) *nomadctlClient {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("no %s: apt-get install %[1]s", shell)
	}
	cluster := nomadtest.Simulated(t)
	task := nomadsim.Task{Name: "box", Driver: "raw_exec", Command: []string{"sleep", "3600"}}
	cluster.Sim.AddJob(boxJob(task, newAllocation()))
	colon := boxJob(nomadsim.Task{Name: "box"}, newAllocation())
	colon.ID = "p-team1-colon:x"
	cluster.Sim.AddJob(colon)
	c := newClient(t, "sh")
	c.setGateway(gatewaytest.Start(t, cluster.URL, ""), "ann")
	c.env["PATH"] = testenv.Root(t) + ":" + c.env["PATH"]
	if _, errs, code := c.run("", "whoami"); code != 0 {
		t.Fatal(errs)
	}
	return c
}

func TestNomadctl_CompletesInBashAndZsh(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		shell []string
		load  string
	}{
		{[]string{"bash", "--norc", "-i"}, "bind 'set bell-style none'; source <(nomadctl completion bash)"},
		{[]string{"zsh", "-f", "-i"}, "autoload -U compinit && compinit -u -D && source <(nomadctl completion zsh)"},
	} {
		t.Run(tc.shell[0], func(t *testing.T) {
			c := shellClient(t, tc.shell[0])
			cmd := c.command()
			cmd.Path, _ = exec.LookPath(tc.shell[0])
			cmd.Args = tc.shell
			on := onTerminal(t, cmd, 200, 50)
			on.send("PS1='> '; " + tc.load + "; echo re''ady\n")
			on.expect("ready\r\n")
			for _, completion := range completions {
				want, got := strings.ReplaceAll(completion.line, "'", ""), ""
				for try := 0; got != want && try < 3; try++ { // no candidates if the gateway is slow
					// Insert echo at the start of the line, to print it without the quotes.
					on.send("nomadctl " + completion.typed + "\t\x01echo 'got:' \x05 :end\n")
					on.expect("got: nomadctl ")
					got = on.expect(" :end\r\n")
				}
				if got != want {
					t.Errorf("%s: got %q, want %q", completion.typed, got, want)
				}
			}
			// Redirections and --key complete file names.
			c.write("payload.csv", "x")
			for _, typed := range []string{"dispatch p-team1-import < pay", "ps > pay", "setup --key pay"} {
				on.send("nomadctl " + typed + "\t\x01echo 'got:' '\x05' :end\n")
				on.expect("got: nomadctl ")
				if got := on.expect(" :end\r\n"); !strings.Contains(got, "payload.csv") {
					t.Errorf("%s: got %q, want the file", typed, got)
				}
			}
			on.send("exit\n")
			on.waitExit()
		})
	}
}

// TestNomadctl_CompletesInFish uses complete -C, which needs no terminal.
func TestNomadctl_CompletesInFish(t *testing.T) {
	t.Parallel()
	c := shellClient(t, "fish")
	cmd := c.command()
	cmd.Path, _ = exec.LookPath("fish")
	c.write("ask.fish", "nomadctl completion fish | source\nfor line in $argv; complete -C $line; echo; end\n")
	cmd.Args = []string{"fish", "--private", filepath.Join(c.home, "ask.fish")}
	want := ""
	for _, completion := range completions {
		cmd.Args = append(cmd.Args, "nomadctl "+completion.typed)
		words := strings.Fields(completion.line)
		if completion.line != completion.typed {
			want += strings.Trim(words[len(words)-1], "'") + "\n"
		}
		want += "\n"
	}
	var got string
	for try := 0; got != want && try < 3; try++ { // no candidates if the gateway is slow
		again := *cmd
		out, err := again.Output()
		if err != nil {
			t.Fatal(err)
		}
		got = regexp.MustCompile("\t.*").ReplaceAllString(string(out), "")
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestComplete_OffersEveryFlag compares the candidates with the flags of --help. The router adds some of them.
func TestComplete_OffersEveryFlag(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	conn := g.Dial(t, "wim")
	for _, spec := range router.Specs() {
		if spec.Hidden || spec.RightSet == router.Admin {
			continue
		}
		session, err := conn.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := session.Output("complete -- " + spec.Name + " --")
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[\w-]+)`).FindAllStringSubmatch(spec.FlagUsages(), -1) {
			if !strings.Contains("\n"+string(out), "\n"+flag[1]+"\t") {
				t.Errorf("%s: %s is not offered among %q", spec.Name, flag[1], out)
			}
		}
	}
}

func TestNomadctl_Shellcheck(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("no shellcheck: apt-get install shellcheck")
	}
	script, err := os.Open(nomadctlScript) // so that go test knows that the result depends on it
	if err != nil {
		t.Fatal(err)
	}
	defer script.Close()
	cmd := exec.Command("shellcheck", "-")
	cmd.Stdin = script
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNomadctlUsage_ExamplesAreAccepted(t *testing.T) {
	t.Parallel()
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		help, _, _ := c.run("", "--help")
		c.fakeSSH()
		c.write("bin/ssh-keyscan", "#!/bin/sh\n") // shows no key
		if err := os.Chmod(filepath.Join(c.home, "bin/ssh-keyscan"), 0o700); err != nil {
			t.Fatal(err)
		}
		c.env["NOMADCTL_HOST"] = "gateway.example.org"
		specs := map[string]router.Spec{}
		for _, spec := range router.Specs() {
			specs[spec.Name] = spec
		}
		c.write("config/nomadctl/config", "[work]\nhost = gateway.example.org\n")
		for _, words := range testenv.UsageExamples(t, help) {
			args := words[1:]
			if len(args) > 0 && args[0] == "setup" {
				args = append([]string{"setup", "--replace"}, args[1:]...)
			}
			if _, errs, code := c.run("", args...); words[0] != "nomadctl" || code == 2 {
				t.Errorf("%q: got %q, %d", words, errs, code)
			}
			if len(args) > 1 && args[0] == "-s" {
				args = args[2:]
			}
			if len(args) == 0 || args[0] == "setup" {
				continue
			}
			spec, ok := specs[args[0]]
			if !ok {
				t.Errorf("%q: no command %s", words, args[0])
			} else if _, err := spec.Parse(new(router.Request), args[1:]); err != nil {
				t.Errorf("%q: %v", words, err)
			}
		}
	})
}
