package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"

	"nomadctld/internal/testenv"
)

// TestDemo_ShellUsesTerminal checks that exec in the demo uses the terminal and its size, and restores its modes.
func TestDemo_ShellUsesTerminal(t *testing.T) {
	t.Parallel()
	// testscript makes this test binary run as nomadctld if it is called by that name.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, dir+"/nomadctld"); err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("sh", "-c", `before=$(stty -g); nomadctld demo exec 45fed1138a; echo code=$?; [ "$before" `+
		`= "$(stty -g)" ] && echo restored`)
	shell.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "TERM=vt220")
	c := onTerminal(t, shell, 91, 33)
	c.expect("welcome to ")
	c.send(untilSize("33 91") + "; echo T=$TERM\n")
	c.expect("33 91\r\n")
	c.expect("T=vt220\r\n")
	if err := pty.Setsize(c.file, &pty.Winsize{Cols: 120, Rows: 50}); err != nil {
		t.Fatal(err)
	}
	c.send(untilSize("50 120") + "; exit 5\n")
	c.expect("50 120\r\n")
	c.expect("code=5\r\n")
	c.expect("restored\r\n")
	if code, rest := c.waitExit(); code != 0 {
		t.Errorf("got %d, %q", code, rest)
	}
}

// TestDemo_PastedReadmeWorks starts make demo, pastes its alias and the transcript of README.md into a shell, and ends
// the demo with Ctrl-C.
func TestDemo_PastedReadmeWorks(t *testing.T) {
	t.Parallel()
	testenv.NeedSSH(t)
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make on PATH: apt-get install make")
	}
	cmd := exec.Command("make", "-C", "../..", "demo", "BINARY="+t.TempDir()+"/nomadctld")
	c := onTerminal(t, cmd, 80, 24)
	c.expect("building nomadctld")
	testenv.Eventually(t, "the demo is built", func() bool {
		return exec.Command("test", "-x", strings.TrimPrefix(cmd.Args[4], "BINARY=")).Run() == nil
	})
	instructions := c.expect("Ctrl-C stops the demo")
	alias := regexp.MustCompile(`(?m)^ +(alias ssh='ssh -F \S+')\r?$`).FindStringSubmatch(instructions)
	if alias == nil || !strings.Contains(instructions, "Not simulated: ") {
		t.Fatalf("got %q, want an alias and what is not simulated", instructions)
	}
	home := t.TempDir()
	if err := os.Mkdir(home+"/.ssh", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(home+"/.ssh/config", []byte("Host *\n  Port 22222\n  User somebody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	paste := func(line string) string {
		shell := exec.Command("sh", "-c", alias[1]+"\neval \"$1\"", "sh", line)
		shell.Env = append(os.Environ(), "HOME="+home)
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		return string(out)
	}
	lines := regexp.MustCompile(`(?m)^\$ (ssh gw (?:ps|logs|exec|restart) .*)$`).
		FindAllStringSubmatch(testenv.ReadFile(t, "../../README.md"), -1)
	if len(lines) < 4 {
		t.Errorf("got %q, want at least four commands in README.md", lines)
	}
	for _, line := range lines {
		paste(line[1])
	}
	for line, want := range map[string]string{
		"ssh gw": "You are Wim.", "ssh ann": "You are Ann of team 1.", "ssh -G gw": "\nuser wim\n",
		"ssh -G somewhere": "\nport 22222\n",
	} {
		if got := paste(line); !strings.Contains("\n"+got, want) {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
	c.send("\x03")
	if code, rest := c.waitExit(); code != 0 || strings.Contains(rest, "Error") {
		t.Errorf("Ctrl-C: got %d and %q, want 0", code, rest)
	}
}
