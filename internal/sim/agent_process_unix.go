//go:build unix

package sim

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// setSession lets a process begin a session, and with it a process group, by which all of it can be killed; terminal
// says that its stdin becomes its controlling terminal.
func setSession(cmd *exec.Cmd, terminal bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: terminal}
}

// killSession kills a process that began a session and all that came of it. A shell on a terminal puts each job into a
// group of its own, so the group is not enough; where there is no /proc, it has to be.
func killSession(leader int) {
	syscall.Kill(-leader, syscall.SIGKILL)
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// The name, in parentheses, may hold anything; after it come state, parent, group and session.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 4 || string(fields[3]) != strconv.Itoa(leader) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// signals are those that Nomad passes on by name.
var signals = map[string]syscall.Signal{
	"SIGABRT": syscall.SIGABRT, "SIGALRM": syscall.SIGALRM, "SIGCONT": syscall.SIGCONT, "SIGHUP": syscall.SIGHUP,
	"SIGINT": syscall.SIGINT, "SIGKILL": syscall.SIGKILL, "SIGQUIT": syscall.SIGQUIT, "SIGSTOP": syscall.SIGSTOP,
	"SIGTERM": syscall.SIGTERM, "SIGUSR1": syscall.SIGUSR1, "SIGUSR2": syscall.SIGUSR2,
}

// signal sends the program a signal; one that nobody knows is not sent, which Nomad does not tell either.
func (p *process) signal(name string) {
	if s, known := signals[name]; known {
		p.cmd.Process.Signal(s)
	}
}

// exitCode returns the exit code as Nomad reports it and the signal that ended the process, or 0.
func exitCode(state *os.ProcessState) (code, signal int) {
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), int(status.Signal())
	}
	return status.ExitStatus(), 0
}
