//go:build !unix

package sim

import (
	"os"
	"os/exec"
)

// Without sessions, only the process itself can be killed.

func ownSession(*exec.Cmd, bool) {}

func killSession(leader int) {
	if p, err := os.FindProcess(leader); err == nil {
		p.Kill()
	}
}

func exitCode(state *os.ProcessState) (code, signal int) { return state.ExitCode(), 0 }

// signal does nothing on this platform.
func (p *process) signal(string) {}
