package e2e

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"

	"nomadctld/internal/nomadsim"
	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
)

// Tests of exec through SSH clients, into a real container and into a process of a simulated Nomad.

func TestExec_StreamsAndExitCodes(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		var allBytes []byte
		for i := range 4 << 10 {
			allBytes = append(allBytes, byte(i), byte(i>>8))
		}
		for _, c := range []struct {
			line, stdin, stdout, stderr string
			code                        int
		}{
			{"exec p-team1-box cat", string(allBytes), string(allBytes), "", 0},
			{"exec p-team1-box -c cat >&2; exit 7", string(allBytes), "", string(allBytes), 7},
			{`exec p-team1-box -c printf '<%s>' "a  b" 'c"d' | tr a-z A-Z`, "", `<A  B><C"D>`, "", 0},
			{`exec p-team1-box printf '<%s>' "a  b" '' 'c"d' '#'`, "", `<a  b><><c"d><#>`, "", 0},
			{`exec p-team1-box -- sh -c 'exit 255'`, "", "", "", 255},
			{`exec p-team1-box`, "echo one; exit 3\n", "one\n", "", 3},
			{`exec --shell /bin/sh p-team1-box -c 'echo $0'`, "", "/bin/sh\n", "", 0},
			// ends with a dot, so that it is not a prefix of session 10
			{`exec p-team1-box sh -c 'echo ${NOMADCTLD_SESSION#*-}'`, "", "1.\n", "", 0},
			{`exec p-team1-box sh -c 'kill -TERM $$'`, "", "", "", 143},
			{`exec p-team1-box sh -c 'exec 0<&-; sleep 0.2; echo done'`, strings.Repeat("x", 1<<20), "done\n", "", 0},
			{`exec p-team1-box sh -c '(sleep 60; echo late) & echo early'`, "", "early\n", "", 0},
			{`exec p-team1-box nope`, "", "", "nomadctld: nope: program not found", 127},
			{`exec p-team1-box /bin`, "", "", "nomadctld: /bin: ", 126},
			{`exec -u root`, "", "", "nomadctld: exec: an argument is missing", 2},
			{`exec p-team1-box -x`, "", "", "nomadctld: exec: put the flag -x before the task p-team1-box", 2},
			{`exec -e nope p-team1-box env`, "", "", "nomadctld: exec: --env takes K=V, not nope", 2},
			{`exec p-team1-box -c`, "", "", "nomadctld: exec: -c needs a command line for the shell", 2},
			{`exec nothing sh`, "", "", "nomadctld: no task nothing (see: ps)", 125},
			{`exec -e A=1 -e 'B=b  c' -w /tmp p-team1-box sh -c 'echo "$A $B"; pwd'`, "", "1 b  c\n/tmp\n", "", 0},
			{`exec -w /nope p-team1-box pwd`, "", "", "nomadctld: ", 125},
		} {
			cmd := p.SSH("wim", c.line)
			cmd.Stdin = strings.NewReader(c.stdin)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			start := time.Now()
			cmd.Run()
			got := stderr.String()
			if strings.HasPrefix(c.stderr, "nomadctld: ") && strings.HasPrefix(got, c.stderr) && strings.Count(got, "\n") == 1 {
				got = c.stderr
			}
			if code := cmd.ProcessState.ExitCode(); stdout.String() != c.stdout || got != c.stderr || code != c.code {
				t.Errorf("%s: got %.200q, %.200q, %d, want %.200q, %.200q, %d", c.line, stdout.String(),
					stderr.String(), code, c.stdout, c.stderr, c.code)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("%s took %v", c.line, took)
			}
		}
	})
}

// TestExec_LargeTransfer transfers many times the size of all windows and buffers on the path.
func TestExec_LargeTransfer(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		content := make([]byte, 16<<20+1)
		rand.NewChaCha8([32]byte{1}).Read(content)
		cmd := p.SSH("wim", "exec", "p-team1-box", "cat")
		cmd.Stdin = bytes.NewReader(content)
		out, err := cmd.Output()
		if err != nil || sha256.Sum256(out) != sha256.Sum256(content) {
			t.Errorf("got %d of %d bytes, %v", len(out), len(content), err)
		}
	})
}

func TestExec_PausedReaderLosesNothing(t *testing.T) {
	t.Parallel()
	testPausedReader(t, 3*time.Second) // Docker drops unread output two seconds after the program's exit
}

func TestExec_PausedReaderLosesNothingSoak(t *testing.T) {
	testenv.Soak(t)
	testPausedReader(t, time.Minute)
}

func testPausedReader(t *testing.T, pause time.Duration) {
	forEachPath(t, func(t *testing.T, p execPath) {
		session, err := p.Dial(t, "wim").NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := session.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		session.Stderr = &stderr
		if err := session.Start("exec p-team1-box -c 'yes 0123456789 | head -n 1000000'"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause)
		all, err := io.ReadAll(out)
		if len(all) != 11_000_000 || err != nil {
			t.Errorf("got %d bytes, %v", len(all), err)
		}
		if err := session.Wait(); err != nil {
			t.Errorf("%v: %s", err, stderr.String())
		}
	})
}

// terminal is a program on a pseudo-terminal.
type terminal struct {
	*exec.Cmd
	t    *testing.T
	file *os.File
	seen bytes.Buffer
}

func onTerminal(t *testing.T, cmd *exec.Cmd, columns, rows uint16) *terminal {
	t.Helper()
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: columns, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); file.Close() })
	return &terminal{Cmd: cmd, t: t, file: file}
}

func (c *terminal) send(keys string) { io.WriteString(c.file, keys) }

// expect waits for text, and returns the output between the previously expected text and this one.
func (c *terminal) expect(text string) (before string) {
	c.t.Helper()
	c.file.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4<<10)
	for {
		if before, after, found := strings.Cut(c.seen.String(), text); found {
			c.seen.Reset()
			c.seen.WriteString(after)
			return before
		}
		n, err := c.file.Read(buf)
		c.seen.Write(buf[:n])
		if err != nil {
			if strings.Contains(c.seen.String(), text) {
				continue
			}
			c.t.Fatalf("%v; want %q, got %q", err, text, c.seen.String())
		}
	}
}

// waitExit waits until the program exits, and returns its exit code and the rest of its output.
func (c *terminal) waitExit() (code int, rest string) {
	c.file.SetReadDeadline(time.Now().Add(20 * time.Second))
	io.Copy(&c.seen, c.file)
	c.Wait()
	return c.ProcessState.ExitCode(), c.seen.String()
}

// untilSize returns a shell command that waits until the terminal has the size, up to 30 seconds, and prints the size.
func untilSize(want string) string {
	return `i=0; while [ $i -lt 300 ] && [ "$(stty size)" != "` + want + `" ]; do sleep 0.1; i=$((i+1)); done; stty size`
}

func TestExec_Terminal(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		cmd := p.SSH("wim", "exec p-team1-box")
		cmd.Args = append([]string{"ssh", "-tt"}, cmd.Args[1:]...)
		cmd.Env = append(os.Environ(), "TERM=xterm-256color")
		c := onTerminal(t, cmd, 91, 33)
		c.expect("Welcome wim (wim, SHA256:")
		c.expect("You have access to p-\r\n")
		c.expect("welcome to box of p-team1-box.g[0] on node-1\r\n")
		c.send("stty size; echo T=$TERM\n")
		c.expect("33 91\r\n")
		c.expect("T=xterm-256color\r\n")
		if err := pty.Setsize(c.file, &pty.Winsize{Cols: 120, Rows: 50}); err != nil {
			t.Fatal(err)
		}
		c.send(untilSize("50 120") + "\n")
		c.expect("50 120\r\n")
		c.send("sh -c 'echo beg\"\"un; exec sleep 60'; echo code=$?\n")
		c.expect("begun\r\n")
		c.send("\x03")
		c.send("\necho af''ter\n")
		c.expect("after\r\n")
		c.send("stty raw -echo; echo read''y; head -c 6 | od -An -tx1; stty sane\n")
		c.expect("ready")
		c.send("\x10\x11\x1a\x03\x04\x1c") // Ctrl-P, Ctrl-Q, Ctrl-Z, Ctrl-C, Ctrl-D, Ctrl-\
		c.expect("10 11 1a 03 04 1c")
		c.send("stty raw -echo; printf '[\\n\\377\\000\\r\\033]'; stty sane\n")
		c.expect("[\n\xff\x00\r\x1b]")
		c.send("\nexit 5\n")
		if code, rest := c.waitExit(); code != 5 {
			t.Errorf("got %d, want 5: %q", code, rest)
		}
	})
}

func TestExec_GreetingNotOnStdout(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		cmd := p.SSH("wim", "exec p-team1-box echo only this")
		cmd.Args = append([]string{"ssh", "-tt"}, cmd.Args[1:]...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if string(out) != "only this\r\n" || err != nil || !strings.Contains(stderr.String(), "welcome to box of") {
			t.Errorf("got %q, %q, %v", out, stderr.String(), err)
		}
	})
}

func TestExec_TerminalSizes(t *testing.T) {
	t.Parallel()
	forEachPath(t, func(t *testing.T, p execPath) {
		client := p.Dial(t, "wim")
		for _, size := range [][2]int{{0, 0}, {1000, 1000}, {3, 2}} {
			session, err := client.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			if err := session.RequestPty("xterm", size[0], size[1], nil); err != nil {
				t.Fatal(err)
			}
			size := fmt.Sprintf("%d %d", size[0], size[1])
			out, err := session.Output("exec p-team1-box -c 'test -t 0 || exit 1; stty size'")
			want := size + "\r\n"
			if size != "0 0" && (err != nil || string(out) != want) { // stty fails without a size
				t.Errorf("%v: got %q, %v, want %q", size, out, err, want)
			}
		}
		// After many changes of the size, the last one is in effect.
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.RequestPty("xterm", 10, 10, nil); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		session.Stdout = &out
		in, _ := session.StdinPipe()
		if err := session.Start("exec p-team1-box -c 'read x; " + untilSize("44 155") + "'"); err != nil {
			t.Fatal(err)
		}
		for i := range 3000 {
			if err := session.WindowChange(20+i%7, 80+i%11); err != nil {
				t.Fatal(err)
			}
		}
		session.WindowChange(44, 155)
		io.WriteString(in, "\n")
		if err := session.Wait(); err != nil || !strings.HasSuffix(out.String(), "44 155\r\n") {
			t.Errorf("after many changes: got %q, %v", out.String(), err)
		}
	})
}

func TestExec_SSHSignals(t *testing.T) {
	t.Parallel()
	forEachPath(t, func(t *testing.T, p execPath) {
		for _, signal := range []ssh.Signal{ssh.SIGINT, ssh.SIGTERM, ssh.SIGHUP, ssh.SIGUSR1} {
			session, err := p.Dial(t, "wim").NewSession()
			if err != nil {
				t.Fatal(err)
			}
			out, _ := session.StdoutPipe()
			line := fmt.Sprintf("exec p-team1-box -c 'trap \"echo got it; exit 9\" %s; echo ready; while :; do sleep "+
				"0.1; done'", signal)
			if err := session.Start(line); err != nil {
				t.Fatal(err)
			}
			ready := make([]byte, len("ready\n"))
			if _, err := io.ReadFull(out, ready); err != nil {
				t.Fatal(err)
			}
			if err := session.Signal(signal); err != nil {
				t.Fatal(err)
			}
			rest, _ := io.ReadAll(out)
			var exit *ssh.ExitError
			if err := session.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 9 || string(rest) != "got it\n" {
				t.Errorf("%s: got %q, %v", signal, rest, err)
			}
		}
	})
}

func TestExec_Shell(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		shell := map[string]string{"docker": "/bin/ash", "nomad": "/bin/bash"}[p.Name]
		if _, err := os.Stat(shell); err != nil && p.Name == "nomad" {
			t.Skipf("no %s on this machine", shell)
		}
		for line, want := range map[string]string{
			"exec p-team1-box -c 'echo $0'":                       "/bin/sh\n",
			"exec --shell " + shell + " p-team1-box -c 'echo $0'": shell + "\n",
		} {
			if out, err := p.SSH("wim", line).Output(); string(out) != want || err != nil {
				t.Errorf("%s: got %q, %v, want %q", line, out, err, want)
			}
		}
		alone := p.SSH("wim", "exec --shell "+shell+" p-team1-box")
		alone.Stdin = strings.NewReader("echo $0\n")
		if out, err := alone.Output(); string(out) != shell+"\n" || err != nil {
			t.Errorf("without a command: got %q, %v", out, err)
		}
	})
}

// TestExec_DisconnectKillsProgram disconnects clients in several ways, and searches the task for their programs.
func TestExec_DisconnectKillsProgram(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		for _, c := range []struct {
			name, trap string
			leave      func(cmd *exec.Cmd)
		}{
			{"killed", "", func(cmd *exec.Cmd) { cmd.Process.Kill() }},
			{"interrupted", "", func(cmd *exec.Cmd) { cmd.Process.Signal(syscall.SIGINT) }},
			{"ignored", "trap : HUP TERM;", func(cmd *exec.Cmd) { cmd.Process.Kill() }},
		} {
			name := "left" + newAllocation()[:8]
			cmd := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c '%s echo ready; while :; do sleep 0.1; done; : %s'",
				c.trap, name))
			p.checkAbandoned(t, cmd, name, c.name, func() { c.leave(cmd) })
			tty := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c '%s echo ready; while :; do sleep 0.1; done; : %s'",
				c.trap, name))
			tty.Args = append([]string{"ssh", "-tt"}, tty.Args[1:]...)
			p.checkAbandoned(t, tty, name, c.name+", with a terminal", func() { c.leave(tty) })
		}
		// The program gets HUP, then TERM, with time to handle each.
		file := "/tmp/" + newAllocation()
		name := "left" + newAllocation()[:8]
		trapping := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c 'trap \"echo hup >>%[1]s\" HUP; trap \"echo term "+
			">>%[1]s; exit\" TERM; echo ready; while :; do sleep 0.1; done; : %[2]s'", file, name))
		p.checkAbandoned(t, trapping, name, "signal order", func() { trapping.Process.Kill() })
		if out, err := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c 'cat %[1]s; rm %[1]s'",
			file)).Output(); string(out) != "hup\nterm\n" || err != nil {
			t.Errorf("got the signals %q, %v", out, err)
		}

		name = "left" + newAllocation()[:8]
		cmd := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c 'echo ready; while :; do sleep 0.1; done; : %s'", name))
		second := gatewaytest.Start(t, p.url, p.settings)
		cmd.Args[2] = second.Dir.Path("ssh_config")
		p.checkAbandoned(t, cmd, name, "the gateway stops", second.Stop)
		for _, e := range append(p.Events(t), second.Events(t)...) {
			if strings.Contains(e.Error, "may still run") {
				t.Errorf("%q: %s", e.Line, e.Error)
			}
		}
	})
}

// TestExec_BrokenUploadHasNoEOF kills the client during an upload. The program must not see EOF.
func TestExec_BrokenUploadHasNoEOF(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		for range 3 {
			name := "left" + newAllocation()[:8]
			file := "/tmp/" + name
			cmd := p.SSH("wim", fmt.Sprintf("exec p-team1-box -c 'echo ready; cat >%[1]s.new && mv %[1]s.new %[1]s; "+
				": %[2]s'", file, name))
			p.checkAbandoned(t, cmd, name, "killed", func() { cmd.Process.Kill() })
			check := fmt.Sprintf("exec p-team1-box -c 'test -e %[1]s.new && test ! -e %[1]s; code=$?; rm -f "+
				"%[1]s.new %[1]s; exit $code'", file)
			if out, err := p.SSH("wim", check).CombinedOutput(); err != nil {
				t.Errorf("%s, %v", out, err)
			}
		}
	})
}

// TestOutput_ClosedByClient runs ssh gw ... | head. OpenSSH reports that its output is closed, and waits for the
// server.
func TestOutput_ClosedByClient(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		const script = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); echo line $i; done"
		p.Cluster.AddJob(nomadsim.Job{ID: "p-team1-long", Groups: []nomadsim.Group{{Name: "g", Tasks: []nomadsim.Task{{
			Name: "t", Driver: "raw_exec", Command: []string{"/bin/sh", "-c", script + "; exec sleep 600"},
		}}}}})
		testenv.Eventually(t, "its log exceeds all buffers on the path", func() bool {
			out, _ := p.SSH("wim", "logs -n 1 p-team1-long/g/t").Output()
			return string(out) == "line 400000\n"
		})
		for _, c := range []struct {
			line, want string
			codes      []int
		}{
			{"exec p-team1-box yes", "y\n", []int{141}},
			{"exec p-team1-box -c '" + script + "; sleep 60'", "line 1\n", []int{141}},
			// The program exits normally if it writes b before the close arrives.
			{"exec p-team1-box -c 'echo a; sleep 0.3; echo b; sleep 1; exit 3'", "a\n", []int{3, 141}},
			{"logs -n all p-team1-long/g/t", "line 1\n", []int{141}},
			{"tail -n all p-team1-long/g/t", "line [0-9]+\n", []int{141}}, // may report skipped lines
		} {
			before := len(p.Events(t))
			cmd := exec.Command("sh", "-c", `{ "$@"; echo $? >&2; } | head -n 1`, "sh")
			cmd.Args = append(cmd.Args, p.SSH("wim", c.line).Args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			want := regexp.MustCompile(fmt.Sprintf("^%s(?:nomadctld: [0-9]+ lines? skipped here: .*\n)*([0-9]+)\n$", c.want))
			got := want.FindStringSubmatch(stdout.String() + stderr.String())
			if got == nil {
				t.Errorf("%s: got %q, want %s", c.line, stdout.String()+stderr.String(), want)
				continue
			}
			code, _ := strconv.Atoi(got[1])
			if !slices.Contains(c.codes, code) {
				t.Errorf("%s: got %d, want one of %v", c.line, code, c.codes)
			}
			testenv.Eventually(t, "the audit event is written", func() bool { return len(p.Events(t)) > before })
			if e := p.LastEvent(t); e.ExitCode != code {
				t.Errorf("%s: the client got %d, the event %+v", c.line, code, e)
			}
		}
		left := "exec p-team1-box -c 'for p in /proc/[0-9]*; do tr \"\\0\" \" \" <$p/cmdline 2>/dev/null | grep -q " +
			"\"^ye[s] \" && echo $p; done; :'"
		if out, err := p.SSH("wim", left).Output(); err != nil || len(out) > 0 {
			t.Errorf("still running: %s, %v", out, err)
		}
	})
}

// TestExec_GatewayStops checks that the client gets an error message, and not 255, which ssh returns for a lost
// connection.
func TestExec_GatewayStops(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		g := gatewaytest.Start(t, p.url, p.settings)
		cmd := g.SSH("wim", "exec p-team1-box -c 'echo ready; exec sleep 60'")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		startAndExpect(t, cmd, "ready\n")
		g.Stop()
		cmd.Wait()
		const want = "the gateway is shutting down"
		if code := cmd.ProcessState.ExitCode(); code != 125 || stderr.String() != "nomadctld: "+want+"\n" {
			t.Errorf("got %d, %q", code, stderr.String())
		}
		if e := g.LastEvent(t); e.Error != want || e.ExitCode != 125 {
			t.Errorf("got the event %+v", e)
		}
	})
}

// startAndExpect starts a command, waits for the start of its output, and returns the rest.
func startAndExpect(t *testing.T, cmd *exec.Cmd, start string) (rest io.Reader) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(start))
	if _, err := io.ReadFull(out, got); err != nil || string(got) != start {
		t.Fatalf("%q: got %q, %v, want %q", cmd.Args, got, err, start)
	}
	return out
}

// checkAbandoned starts a program whose command line contains marker, calls leave, and checks that the program is
// killed.
func (p execPath) checkAbandoned(t *testing.T, cmd *exec.Cmd, marker, name string, leave func()) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	startAndExpect(t, cmd, "ready")
	defer cmd.Wait()
	defer cmd.Process.Kill()
	leave()
	// The brackets keep grep from matching its own command line.
	search := fmt.Sprintf("exec p-team1-box -c 'for p in /proc/[0-9]*; do tr \"\\0\" \" \" <$p/cmdline 2>/dev/null | "+
		"grep -q \"[l]%s\" && echo $p; done; :'", marker[1:])
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		found, err := p.SSH("wim", search).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(found) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%s: still running: %s", name, found)
			return
		}
	}
}

func TestExec_DropbearClient(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"dbclient", "dropbearconvert", "ssh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on PATH: apt-get install dropbear-bin openssh-client", tool)
		}
	}
	forEachPath(t, func(t *testing.T, p execPath) {
		key := p.Dir.Path("wim.dropbear")
		if out, err := exec.Command("dropbearconvert", "openssh", "dropbear", p.Dir.Path("wim"),
			key).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		host, port, _ := strings.Cut(p.Address, ":")
		dbclient := func(words ...string) *exec.Cmd {
			cmd := exec.Command("dbclient", append([]string{"-y", "-y", "-i", key, "-p", port, "wim@" + host}, words...)...)
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=vt100")
			return cmd
		}
		cmd := dbclient("exec p-team1-box -c 'cat; echo err >&2; exit 7'")
		cmd.Stdin = strings.NewReader("a\x00b\xff\n")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		cmd.Run()
		if code := cmd.ProcessState.ExitCode(); stdout.String() != "a\x00b\xff\n" ||
			!strings.HasSuffix(stderr.String(), "err\n") || code != 7 {
			t.Errorf("got %q, %q, %d", stdout.String(), stderr.String(), code)
		}
		// Its window is smaller than the largest packets that the server sends to OpenSSH.
		const size = 8 << 20
		if out, err := dbclient(fmt.Sprintf("exec p-team1-box head -c %d /dev/zero", size)).Output(); err != nil ||
			!bytes.Equal(out, make([]byte, size)) {
			t.Errorf("%d bytes, want %d zeros: %v", len(out), size, err)
		}
		interactive := dbclient("exec p-team1-box")
		interactive.Args = append([]string{"dbclient", "-t"}, interactive.Args[1:]...)
		c := onTerminal(t, interactive, 77, 22)
		c.expect("welcome to box")
		c.send(untilSize("22 77") + "; exit 4\n")
		c.expect("22 77\r\n")
		if code, rest := c.waitExit(); code != 4 {
			t.Errorf("got %d, want 4: %q", code, rest)
		}
	})
}
