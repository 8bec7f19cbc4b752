package docker

import (
	"context"
	_ "embed"
	"errors"
	"net/http"
	"strings"
	"time"
)

// signalScript sends a signal to a program in its container.
//
//go:embed exec_signal.sh
var signalScript string

// Exit codes of signalScript.
const (
	signalSent     = 0
	signalNotFound = 3
	signalDenied   = 4
)

// allowedSignals are those that may be sent.
var allowedSignals = map[string]bool{
	"ABRT": true, "ALRM": true, "CONT": true, "FPE": true, "HUP": true, "ILL": true, "INT": true, "KILL": true, "PIPE": true,
	"QUIT": true, "SEGV": true, "STOP": true, "TERM": true, "TSTP": true, "USR1": true, "USR2": true, "WINCH": true,
}

var (
	errNoShell      = errors.New("there is no shell in the container")
	errNoProcess    = errors.New("it was not found in the container")
	errSignalDenied = errors.New("the container does not let it be signalled")
)

// cannotBeSignaled reports whether err means that signals do not reach the program, and not only that this one has not.
func cannotBeSignaled(err error) bool {
	return errors.Is(err, errNoShell) || errors.Is(err, errNoProcess) || errors.Is(err, errSignalDenied)
}

// deliverSignals sends the signals of a queue in their order until ctx ends. Docker can signal no program but a container's
// first, and nobody is told when a signal has no effect, just as with kill.
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
	maxSignalTries      = 10 // a program that has only just been started may not be itself yet
	signalRetryInterval = 50 * time.Millisecond
)

// sendSignal sends one signal to the program and to all that it runs in its session: as the user that it runs as, or if
// that does not help as root, which the user of a container may be in any case.
func (e *execInstance) sendSignal(ctx context.Context, name string) (err error) {
	if !allowedSignals[name] {
		return nil
	}
	for range maxSignalTries {
		err = e.sendSignalAs(ctx, e.program.User, name)
		if err == nil || errors.Is(err, errNoShell) {
			return err
		}
		if other := e.sendSignalAs(ctx, "0", name); other == nil {
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

func (e *execInstance) sendSignalAs(ctx context.Context, user, name string) error {
	is, err := e.runScript(ctx, user, signalScript, e.program.Session, name)
	switch {
	case err != nil && is.Pid == 0 && hasAnyStatus(err) && !hasStatus(err, http.StatusConflict) && strings.Contains(err.Error(), "/bin/sh"):
		return errNoShell
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && is.Running: // it may have been sent
		return err
	case !is.started():
		return explainNotRunning(e.ref.Task, err)
	case is.ExitCode != nil && *is.ExitCode == signalSent:
		return nil
	case is.ExitCode != nil && *is.ExitCode == signalNotFound:
		return errNoProcess
	}
	return errSignalDenied
}
