//go:build unix

package agent

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// setSession runs a process in a session and process group of its own, so that its descendants there can be killed. If
// terminal is true, stdin becomes its controlling terminal.
func setSession(cmd *exec.Cmd, terminal bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: terminal}
}

// killSession kills the leader of a session and all processes in it. A shell on a terminal gives each job a process
// group of its own, so killing the group is not enough. Without /proc, only the group is killed.
func killSession(leader int) {
	syscall.Kill(-leader, syscall.SIGKILL)
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// The name is in parentheses and may contain any character. State, parent, group and session follow it.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 4 || string(fields[3]) != strconv.Itoa(leader) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// signals are the signals that Nomad forwards by name.
var signals = map[string]syscall.Signal{
	"SIGABRT": syscall.SIGABRT, "SIGALRM": syscall.SIGALRM, "SIGCONT": syscall.SIGCONT, "SIGHUP": syscall.SIGHUP,
	"SIGINT": syscall.SIGINT, "SIGKILL": syscall.SIGKILL, "SIGQUIT": syscall.SIGQUIT, "SIGSTOP": syscall.SIGSTOP,
	"SIGTERM": syscall.SIGTERM, "SIGUSR1": syscall.SIGUSR1, "SIGUSR2": syscall.SIGUSR2,
}

// signal sends a signal to the program. Like Nomad, it silently ignores unknown signals.
func (p *process) signal(name string) {
	if s, known := signals[name]; known {
		p.cmd.Process.Signal(s)
	}
}

// exitCode returns the exit code as Nomad reports it, and the signal that killed the process, or 0.
func exitCode(state *os.ProcessState) (code, signal int) {
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), int(status.Signal())
	}
	return status.ExitStatus(), 0
}
