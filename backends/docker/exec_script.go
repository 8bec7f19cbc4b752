package docker

import (
	"context"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"
)

// runScript runs a script in the container without streams and waits until it exits. If the script could not be
// started, the execState shows it and err has the reason.
func (e *execInstance) runScript(
	ctx context.Context, user, script string, args ...string,
) (state execState, err error) {
	api := e.api
	options := execOptions{CreateExecOptions: dockerclient.CreateExecOptions{
		User: user, Cmd: append([]string{"/bin/sh", "-c", script, "sh"}, args...),
	}}
	if api.supports(1, 35) {
		options.WorkingDir = "/"
	}
	id, err := api.createExec(ctx, e.containerID, options)
	if err != nil {
		return state, err
	}
	err = api.client.StartExec(id, dockerclient.StartExecOptions{Detach: true, Context: ctx})
	state, inspectErr := api.inspectExec(ctx, id)
	if inspectErr != nil {
		return state, inspectErr
	}
	if state.Running || state.Pid != 0 {
		err = nil
	}
	for pause := time.Millisecond; state.Running; pause = min(2*pause, signalRetryInterval) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return state, context.Cause(ctx)
		}
		if state, err = api.inspectExec(ctx, id); err != nil {
			return state, err
		}
	}
	return state, err
}
