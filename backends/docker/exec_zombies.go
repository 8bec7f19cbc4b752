package docker

import (
	"context"
	_ "embed"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"
)

// zombiesScript counts zombies. A killed shell usually does not reap its child, which the container's first process
// then inherits. The shell is killed first: otherwise it would run its next command, which may install half an upload.
//
//go:embed exec_zombies.sh
var zombiesScript string

const (
	zombiesTimeout = 3 * time.Second
	noZombiesCode  = 100 // as an exit code, which a shell that fails does not have
	maxZombiesCode = 200
)

// countZombies returns how many ended processes stay in the container; 0 if that cannot be known.
func (e *execInstance) countZombies() int {
	ctx, cancel := context.WithTimeout(context.Background(), zombiesTimeout)
	defer cancel()
	is, err := e.runScript(ctx, "", zombiesScript)
	if err != nil || is.ExitCode == nil || *is.ExitCode < noZombiesCode || *is.ExitCode > maxZombiesCode {
		return 0
	}
	return *is.ExitCode - noZombiesCode
}

// runScript runs a script in the container, without streams, and waits until it has ended. The execState is that of a
// script that was not started if it could not be; err then says why.
func (e *execInstance) runScript(ctx context.Context, user, script string, args ...string) (is execState, err error) {
	s := e.api
	options := execOptions{CreateExecOptions: dockerclient.CreateExecOptions{
		User: user, Cmd: append([]string{"/bin/sh", "-c", script, "sh"}, args...),
	}}
	if s.supports(1, 35) {
		options.WorkingDir = "/"
	}
	id, err := s.createExec(ctx, e.containerID, options)
	if err != nil {
		return is, err
	}
	err = s.client.StartExec(id, dockerclient.StartExecOptions{Detach: true, Context: ctx})
	is, asked := s.inspectExec(ctx, id)
	if asked != nil {
		return is, asked
	}
	if is.Running || is.Pid != 0 {
		err = nil
	}
	for pause := time.Millisecond; is.Running; pause = min(2*pause, signalRetryInterval) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return is, context.Cause(ctx)
		}
		if is, err = s.inspectExec(ctx, id); err != nil {
			return is, err
		}
	}
	return is, err
}
