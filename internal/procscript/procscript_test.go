package procscript

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shells are the shells of this machine in which the functions must work.
func shells() (found [][]string) {
	for _, argv := range [][]string{{"sh"}, {"dash"}, {"bash", "--posix"}, {"busybox", "sh"}, {"mksh"}} {
		if _, err := exec.LookPath(argv[0]); err == nil {
			found = append(found, argv)
		}
	}
	return found
}

// TestProc_Functions looks for a program whose name and environment are as confusing as possible.
func TestProc_Functions(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc")
	}
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(t.TempDir(), "a) S 1\n2 (b")
	if err := os.Symlink(cat, named); err != nil {
		t.Fatal(err)
	}
	program := exec.Command(named)
	program.Env = []string{"A=x\ny", "NOMADCTLD_SESSION=5e55", "Z=\n"}
	stdin, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer program.Wait()
	defer stdin.Close()
	fmt.Fprintln(stdin, "ready")
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil { // then it has its own name and environment
		t.Fatal(err)
	}
	pid := program.Process.Pid
	script := With(`# not a command
		read_stat "$1" && echo "$parent $((started > 0))"
		for session_id in 5e55 5e5x; do has_session "$1/environ" && echo "has $session_id"; done
		has_session "$1/cmdline" || echo "not in its parameters"
		read_stat 999999999 || echo "no process"
		has_session 999999999/environ || echo "no environment"
		echo "$#"
	`)
	want := fmt.Sprintf("%d 1\nhas 5e55\nnot in its parameters\nno process\nno environment\n1\n", os.Getpid())
	for _, shell := range shells() {
		argv := append(shell[1:len(shell):len(shell)], "-c", script, "sh", fmt.Sprint(pid))
		out, err := exec.Command(shell[0], argv...).CombinedOutput()
		if string(out) != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", shell, out, err, want)
		}
	}
}

func TestWith_NoComments(t *testing.T) {
	script := With("# comment\n\techo '#' # kept\n\n")
	if strings.Contains(script, "# comment") || !strings.HasSuffix(script, "\n\techo '#' # kept\n") {
		t.Errorf("got %q", script)
	}
}
