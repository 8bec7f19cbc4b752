package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"nomadctld/internal/testenv"
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
			// A session ID ends with a dot, so that 1 is not a prefix of 10.
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
