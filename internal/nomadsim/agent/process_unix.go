//go:build unix

package agent

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
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
	proc, err := os.Open("/proc")
	if err != nil {
		return
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if session, err := unix.Getsid(pid); err == nil && session == leader {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// signals are the signals that the simulator forwards.
var signals = map[string]syscall.Signal{
	"SIGABRT": syscall.SIGABRT, "SIGALRM": syscall.SIGALRM, "SIGCONT": syscall.SIGCONT, "SIGHUP": syscall.SIGHUP,
	"SIGINT": syscall.SIGINT, "SIGKILL": syscall.SIGKILL, "SIGQUIT": syscall.SIGQUIT, "SIGSTOP": syscall.SIGSTOP,
	"SIGTERM": syscall.SIGTERM, "SIGUSR1": syscall.SIGUSR1, "SIGUSR2": syscall.SIGUSR2,
}

// signal sends a signal to the program. It ignores unknown names. Some of Nomad's drivers send SIGINT instead.
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
