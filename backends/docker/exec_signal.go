package docker

import (
	"context"
	_ "embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"nomadctld/internal/procscript"
	"nomadctld/internal/signals"
)

//go:embed exec_signal.sh
var signalText string

// signalScript sends a signal to a program inside its container.
var signalScript = procscript.With(signalText)

// Exit codes of signalScript.
const (
	signalSent     = 0
	signalNotFound = 3
	signalDenied   = 4
)

var (
	errNoShell      = errors.New("the container has no shell")
	errNoProcess    = errors.New("the program was not found in the container")
	errSignalDenied = errors.New("the container does not allow sending signals to the program")
)

// cannotBeSignaled reports whether err means that no other signal can reach the program either.
func cannotBeSignaled(err error) bool {
	return errors.Is(err, errNoShell) || errors.Is(err, errNoProcess) || errors.Is(err, errSignalDenied)
}

// deliverSignals sends the signals of a queue in order until ctx ends. Docker can only signal the main process of a
// container, so a script does it. Failures are not reported.
func (e *execInstance) deliverSignals(ctx context.Context, queue <-chan string) {
	for {
		select {
		case name := <-queue:
			e.sendSignal(ctx, name)
		case <-ctx.Done():
			return
		}
	}
}

const (
	maxSignalTries      = 10 // a program that was just started may not have called execve yet
	signalRetryInterval = 50 * time.Millisecond
)

// sendSignal sends a signal to the program and to all processes of its POSIX session, as the user of the program, and
// if that fails as root. It ignores names that no client may send.
func (e *execInstance) sendSignal(ctx context.Context, name string) (err error) {
	if !signals.FromClient(name) {
		return nil
	}
	for range maxSignalTries {
		err = e.sendSignalAs(ctx, e.program.User, name)
		if err == nil || errors.Is(err, errNoShell) {
			return err
		}
		if rootErr := e.sendSignalAs(ctx, "0", name); rootErr == nil {
			return nil
		}
		if !errors.Is(err, errNoProcess) || e.hasExited(ctx) {
			return err
		}
		select {
		case <-time.After(signalRetryInterval):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// sendSignalAs runs the signal script as user. Signal 0 only checks whether the program is running.
func (e *execInstance) sendSignalAs(ctx context.Context, user, name string) error {
	state, err := e.runScript(ctx, user, signalScript, e.program.Session, name)
	switch {
	case err != nil && state.Pid == 0 && hasAnyStatus(err) && !hasStatus(err, http.StatusConflict) &&
		strings.Contains(err.Error(), "/bin/sh"):
		return errNoShell
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && state.Running: // it may have been sent
		return err
	case !state.started():
		return explainNotRunning(e.ref.Task, err)
	case state.ExitCode != nil && *state.ExitCode == signalSent:
		return nil
	case state.ExitCode != nil && *state.ExitCode == signalNotFound:
		return errNoProcess
	}
	return errSignalDenied
}
