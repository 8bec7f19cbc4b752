//go:build linux

package nomadcli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nomadctld/internal/terminate"
)

const defaultKillGrace = 2 * time.Second

// run is Run without the checks.
func (b Binary) run(
	ctx context.Context, c Cluster, args []string, stdin io.Reader, stdout, stderr io.Writer, t *Terminal,
) (code int, err error) {
	if ctx.Err() != nil {
		return -1, context.Cause(ctx)
	}
	if b.killGrace == 0 {
		b.killGrace = defaultKillGrace
	}
	as, err := b.account()
	if err != nil {
		return -1, err
	}
	box, err := newSandbox(as)
	if err != nil {
		return -1, err
	}
	defer func() {
		if removeErr := box.remove(); removeErr != nil {
			err = errors.Join(err, removeErr)
		}
	}()
	line, _ := parse(args)
	proxy, err := startProxy(box.dir, as, c, line.rule.connectsToNodes)
	if err != nil {
		return -1, err
	}
	defer proxy.close()
	if err := box.chown(); err != nil {
		return -1, err
	}
	s, err := openStreams(t)
	if err != nil {
		return -1, err
	}
	defer s.close()

	cmd := exec.Cmd{Path: b.Path, Args: append([]string{"nomad"}, args...), Env: box.environment(proxy.url, c, t)}
	cmd.Dir = box.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.child[0], s.child[1], s.child[2]
	// Signals go to the program's own process group, and a terminal needs a session.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: t != nil, Credential: as.credential()}
	if err := closeInheritedOnExec(); err != nil {
		return -1, err
	}
	if err := cmd.Start(); err != nil {
		return -1, fmt.Errorf("start nomad (general.nomadbinary): %w", err)
	}
	s.startCopying(stdin, stdout, stderr, t)

	exited := make(chan struct{})
	go func() {
		waitForExit(cmd.Process.Pid)
		close(exited)
	}()
	cause := b.waitOrKill(ctx, cmd.Process.Pid, exited)

	// The program is not reaped yet, so its PID still identifies its process group.
	unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	cmd.Wait() // its error only repeats the exit status
	return exitCode(cmd.ProcessState), errors.Join(cause, s.drain(ctx, b.killGrace))
}

// waitOrKill returns nil when the program has exited. If ctx ends first, it kills the program and returns the cause.
func (b Binary) waitOrKill(ctx context.Context, pid int, exited <-chan struct{}) error {
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
	}
	running, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		<-exited
	}()
	terminate.Intervals{Grace: b.killGrace}.Run(running, func(signal string) (bool, error) {
		unix.Kill(-pid, unix.SignalNum("SIG"+signal))
		return false, nil
	})
	<-exited // KILL cannot be ignored
	return context.Cause(ctx)
}

// waitForExit returns when the process has exited, and does not reap it.
func waitForExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// closeInheritedOnExec sets close-on-exec for the files that the gateway inherited. Files that it opened itself have
// it.
var closeInheritedOnExec = sync.OnceValue(func() error {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list the gateway's open files: %w", err)
	}
	for _, f := range files {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
})

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
