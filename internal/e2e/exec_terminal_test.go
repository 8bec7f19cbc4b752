package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"

	"nomadctld/internal/testenv"
)

func TestExec_Terminal(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		cmd := p.SSH("wim", "exec p-team1-box")
		cmd.Args = append([]string{"ssh", "-tt"}, cmd.Args[1:]...)
		cmd.Env = append(os.Environ(), "TERM=xterm-256color")
		c := onTerminal(t, cmd, 91, 33)
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

// TestExec_Greeting checks that a shell is greeted with one line, not on stdout, and a command is not.
func TestExec_Greeting(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		for line, want := range map[string]struct{ stdout, stderr string }{
			"exec p-team1-box echo only this":          {"only this\r\n", ""},
			"exec p-team1-box -c 'echo only this'":     {"only this\r\n", ""},
			"exec --shell /bin/echo p-team1-box":       {"\r\n", "welcome to box of p-team1-box.g[0] on node-1\r\n"},
			"exec -it --shell /bin/echo p-team1-box":   {"\r\n", "welcome to box of p-team1-box.g[0] on node-1\r\n"},
			"exec p-team1-box -it -- echo only this":   {"only this\r\n", ""},
			"exec -i -t p-team1-box echo --it's only'": {"--its only\r\n", ""},
		} {
			cmd := p.SSH("wim", line)
			cmd.Args = append([]string{"ssh", "-tt"}, cmd.Args[1:]...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if string(out) != want.stdout || err != nil || stderr.String() != want.stderr {
				t.Errorf("%s: got %q, %q, %v; want %q and %q", line, out, stderr.String(), err, want.stdout, want.stderr)
			}
		}
	})
}

// TestExec_SilenceWithoutTerminal checks that a shell without a terminal reports that it reads commands from stdin, and
// only if no input arrives.
func TestExec_SilenceWithoutTerminal(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	forEachPath(t, func(t *testing.T, p execPath) {
		const notice = "no terminal; use ssh -t for a shell (/bin/sh reads commands from stdin)\n"
		for _, tc := range []struct {
			line, want string
			delay      time.Duration // before the input, if there must be no notice
		}{
			{"exec p-team1-box", notice, 0},
			{"exec -it p-team1-box", notice, 0},
			{"exec p-team1-box", "", 0},
			{"exec p-team1-box sh", "", 1500 * time.Millisecond},
		} {
			cmd := p.SSH("wim", tc.line)
			var stdout bytes.Buffer
			stderr := new(testenv.Buffer)
			cmd.Stdout, cmd.Stderr = &stdout, stderr
			in, err := cmd.StdinPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(tc.delay)
			testenv.Eventually(t, "the notice is printed", func() bool { return tc.want == "" || stderr.String() != "" })
			io.WriteString(in, "echo done\n")
			in.Close()
			if err := cmd.Wait(); err != nil || stdout.String() != "done\n" || stderr.String() != tc.want {
				t.Errorf("%s: got %q, %q, %v; want %q on stderr", tc.line, stdout.String(), stderr.String(), err, tc.want)
			}
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
