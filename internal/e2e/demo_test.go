package e2e

import (
	"os"
	"os/exec"
	"testing"

	"github.com/creack/pty"
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
