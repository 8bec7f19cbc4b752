package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

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
				"nomadctl: no gateway: run nomadctl setup HOST[:PORT], or set NOMADCTL_HOST", 2,
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
		if code, rest := on.waitExit(); code != 0 || !strings.Contains(c.read(known), "ssh-ed25519 ") ||
			!strings.HasSuffix(rest, "\r\nLogged in as wim (wim). Try: nomadctl\r\n") {
			t.Errorf("yes: got %d, %q, %q", code, rest, c.read(known))
		}
		if out, errs, code := c.run("", "whoami"); !strings.HasPrefix(out, "wim ") || code != 0 {
			t.Errorf("after setup: got %q, %q, %d", out, errs, code)
		}
		// A second gateway leaves the configuration of the first unchanged. The host key is replaced.
		c.write(file, "# mine\n"+c.read(file)+"ssh_options = -v\n")
		if out, errs, code := setup("--accept="+fingerprint, "more", host); errs != "" || code != 0 ||
			!strings.HasSuffix(out, "Saved more in "+filepath.Join(c.home, file)+
				"\nLogged in as wim (wim). Try: nomadctl -s more\n") {
			t.Errorf("second gateway: got %q, %q, %d", out, errs, code)
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
		// The login fails, because ann does not have this key. The reason is the last line.
		if _, errs, code := c.run("", "setup", "--replace", "--user", "ann", "--accept", fingerprint, "work", host); errs !=
			"nomadctl: give your public key to the gateway's operator: "+g.Dir.Path("wim")+".pub\n"+
				"nomadctl: no connection to work: ann@127.0.0.1: Permission denied (publickey).\n" ||
			code != 1 || c.read(file) != strings.Replace(replaced, "user = wim", "user = ann", 1) {
			t.Errorf("replaced user: got %q, %d, %q", errs, code, c.read(file))
		}

		for _, tc := range []struct {
			want  string
			words []string
		}{
			{"usage: nomadctl setup", nil},
			{"unexpected argument: z", []string{"x", "y", "z"}},
			{"unknown flag --nope", []string{"--nope", "x", "y"}},
			{"not a valid name (use letters", []string{"a b", "y"}},
			{"not a port", []string{"x", "y:"}},
			{"not a port: z", []string{"y:z"}},
			{"work is already configured as 127.0.0.1", []string{"work.example.org"}},
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

// TestNomadctl_SetupWithoutName expects a name that is derived from the address.
func TestNomadctl_SetupWithoutName(t *testing.T) {
	t.Parallel()
	g := boxGateway(t)
	fingerprint := ssh.FingerprintSHA256(g.Keys["hostkey"].PublicKey())
	_, port, _ := net.SplitHostPort(g.Address)
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		if _, err := exec.LookPath("ssh-keyscan"); err != nil {
			t.Skip("no ssh-keyscan: apt-get install openssh-client")
		}
		const file = "config/nomadctl/config"
		settings := "\nhost = %s\nport = " + port + "\nuser = wim\nkey = " + g.Dir.Path("wim") + "\n"
		for address, name := range map[string]string{
			g.Address: "127.0.0.1", "localhost.:" + port: "localhost", "[::ffff:127.0.0.1]:" + port: "gateway",
		} {
			c.write(file, "")
			_, errs, _ := c.run("", "setup", "--user", "wim", "--key", g.Dir.Path("wim"), "--accept", fingerprint, address)
			host := strings.Trim(strings.TrimSuffix(address, ":"+port), "[]")
			if got, want := c.read(file), "["+name+"]"+fmt.Sprintf(settings, host); got != want {
				t.Errorf("%s: got %q, %q, want %q", address, got, errs, want)
			}
		}
		// Without an address, setup asks for it on a terminal.
		c.write(file, "")
		on := onTerminal(t, c.command("setup", "--key", g.Dir.Path("wim"), "--accept", fingerprint), 200, 24)
		on.expect("Address of the gateway (HOST or HOST:PORT): ")
		on.send(g.Address + "\n")
		on.expect("Your user name on the gateway (empty: the one that ssh uses for the host): ")
		on.send("wim\n")
		on.expect("A name for it (empty: 127.0.0.1): ")
		on.send("gw\n")
		if code, rest := on.waitExit(); code != 0 || !strings.HasSuffix(rest, "Logged in as wim (wim). Try: nomadctl\r\n") {
			t.Errorf("asked: got %d, %q", code, rest)
		}
		if got, want := c.read(file), "[gw]"+fmt.Sprintf(settings, "127.0.0.1"); got != want {
			t.Errorf("asked: got %q, want %q", got, want)
		}
		on = onTerminal(t, c.command("setup"), 200, 24)
		on.expect("Address of the gateway")
		on.send("\x04")
		if code, rest := on.waitExit(); code != 1 || !strings.Contains(rest, "nomadctl: nothing was saved") {
			t.Errorf("end of input: got %d, %q", code, rest)
		}
	})
}

// TestNomadctl_NoGatewayReasonLast expects the reason after the list of commands, and nothing after it.
func TestNomadctl_NoGatewayReasonLast(t *testing.T) {
	t.Parallel()
	forEachShell(t, func(t *testing.T, c *nomadctlClient) {
		on := onTerminal(t, c.command(), 80, 24)
		code, rest := on.waitExit()
		list, reason := strings.Index(rest, "  ps "), strings.Index(rest, "nomadctl: no gateway: run nomadctl setup")
		if code != 2 || list < 0 || reason < list || strings.Count(rest[reason:], "\n") != 1 {
			t.Errorf("got %d, %q", code, rest)
		}
	})
}
