package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/nomadtest"
	"nomadctld/router"
)

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
	{"exec p-team1-box.", "exec p-team1-box.g[0]"},
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
