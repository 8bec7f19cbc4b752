package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// Attach implements backends.Runtime.
func (d *Docker) Attach(ctx context.Context, in backends.TaskRef, a backends.Attachment) (code int, err error) {
	var api *apiClient
	var target container
	err = d.withClient(ctx, in.Node, func(ctx context.Context, client *apiClient) (err error) {
		api = client
		if target, err = api.runningContainer(ctx, in); err == nil {
			err = checkAttach(in.Task, target, a)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()

	// Start waiting for the exit before attaching: Nomad may remove a container as soon as it exits.
	exited := make(chan exitResult, 1)
	background.Go(func() {
		var exit exitResult
		exit.err = safego.Protect(func() (err error) {
			exit.code, err = api.client.WaitContainerWithContext(target.ID, runCtx)
			return err
		})
		exited <- exit
	})
	notices := a.Stderr
	if a.PlainStdout != nil && a.PlainStderr != nil {
		if notices = a.PlainStderr; !target.Config.Tty {
			a.Stdout, a.Stderr = a.PlainStdout, a.PlainStderr
		}
	}
	// A client that does not read must not block the task, nor others that are attached to it.
	queue := newDropQueue(notices)
	defer func() {
		queue.close()
		select {
		case <-queue.done:
			if err == nil {
				err = queue.err
			}
		case <-ctx.Done():
			queue.discard()
			<-queue.done
			if err == nil {
				err = context.Cause(ctx)
			}
		}
	}()
	out := newOutputReceiver(queue.writer(a.Stdout), queue.writer(a.Stderr), target.Config.Tty)
	out.drainIdleTimeout = streamEndTimeout // the daemon closes the stream with the container
	if a.Notice != nil {
		out.onAccepted = func() { io.WriteString(queue.writer(notices), a.Notice(target.Config.Tty)) }
	}
	conn := &attachment{api: api, ref: in, containerID: target.ID, out: out, exited: exited, exitTimeout: d.timeouts.exit}
	if a.Stdin != nil {
		conn.input = &input{
			source: a.Stdin, streamDone: runCtx.Done(), fail: out.fail,
			refused: func() bool { return !out.conn.accepted() },
		}
		if a.PlainStdin != nil && !target.Config.Tty {
			conn.input.source = a.PlainStdin
		}
		if target.Config.Tty { // without a terminal, Docker ignores the detach keys
			conn.input.detachKeys = backends.ParseDetachKeys(a.DetachKeys)
		}
	}
	open := func(client *dockerclient.Client) (dockerclient.CloseWaiter, error) {
		return client.AttachToContainerNonBlocking(conn.options(a.DetachKeys))
	}
	st, err := api.open(ctx, out, true, d.timeouts.response, open)
	if err != nil {
		return 0, explain(ctx, in.Node, err)
	}
	defer func() {
		st.close()
		<-st.done
	}()
	if target.Config.Tty && a.Stdin != nil && a.Terminal != nil {
		background.Go(out.guard(func() { api.followSize(runCtx, "/containers/"+target.ID+"/resize", a.Terminal) }))
	}
	for firstExit := exited; ; {
		select {
		case exit := <-firstExit:
			firstExit = nil
			exited <- exit // keep it for result
			if exit.err == nil {
				out.drain()
			}
			continue
		case <-ctx.Done():
		case <-out.broken:
		case <-st.done:
		}
		return conn.result(ctx)
	}
}

// attachment is a user's connection to the main process of a container.
type attachment struct {
	api         *apiClient
	ref         backends.TaskRef
	containerID string
	input       *input // nil: no input
	out         *outputReceiver
	exited      chan exitResult // receives the exit of the container
	exitTimeout time.Duration   // the exit may be reported after the stream has ended
}

// exitResult is the exit code of a container, or the reason why it is unknown.
type exitResult struct {
	code int
	err  error
}

// result returns the exit code or error of the attachment. Call it when the stream has ended or ctx is done.
func (a *attachment) result(ctx context.Context) (int, error) {
	out, node := a.out, a.ref.Node
	switch status := out.conn.status.Load(); {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case out.failed() != nil:
		return 0, out.failed()
	case status == 0:
		return 0, explain(ctx, node, errors.Join(out.readErr, io.EOF))
	case !out.conn.accepted():
		err := &dockerclient.Error{Status: int(status), Message: errorMessage(out.errorText)}
		return 0, explain(ctx, node, explainNotRunning(a.ref.Task, err))
	case !out.endedCleanly(a.input):
		return 0, a.connectionLost()
	}
	// The daemon closes the stream of a container before it reports the exit.
	waitCtx, cancel := context.WithTimeout(ctx, a.exitTimeout)
	defer cancel()
	if a.input != nil && a.input.detached.Load() { // after the detach keys the container keeps running
		if c, err := a.inspect(waitCtx); err == nil && c.State.Running {
			return 0, backends.ErrDetached
		}
	}
	select {
	case exit := <-a.exited:
		if exit.err == nil {
			return exit.code, nil
		}
		for ; waitCtx.Err() == nil; time.Sleep(exitPollInterval) {
			if c, err := a.inspect(waitCtx); err == nil && !c.State.Running {
				return c.State.ExitCode, nil
			}
		}
	case <-waitCtx.Done():
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return 0, a.connectionLost()
}

// inspect returns the current state of the container.
func (a *attachment) inspect(ctx context.Context) (c container, err error) {
	body, err := a.api.inspect(ctx, a.containerID, a.ref.Task, a.ref.Allocation.ID)
	switch {
	case err != nil:
		return c, err
	case body == nil:
		return c, ErrNoContainer
	}
	return parseContainer(body)
}

// connectionLost is the error for a stream that broke.
func (a *attachment) connectionLost() error {
	err := fmt.Errorf("the Docker daemon of node %s cannot be reached: the connection was closed; "+
		"the task may still be running",
		displayName(a.ref.Node.Name))
	return &kindError{err, ErrUnreachable}
}

// checkAttach returns why a container cannot be attached to with the given input, or nil.
func checkAttach(task string, c container, a backends.Attachment) error {
	switch {
	case a.Stdin == nil:
		return nil
	case !c.Config.OpenStdin:
		return kindErrorf(backends.ErrUnsupported,
			"attach to task %s with input: not supported (the job does not set interactive, so stdin is closed)",
			displayName(task))
	case c.Config.StdinOnce:
		return kindErrorf(backends.ErrUnsupported,
			"attach to task %s with input: not supported (stdin would be closed when you disconnect)",
			displayName(task))
	}
	return nil
}

// options returns the library's options for the attach request.
func (a *attachment) options(detachKeys string) dockerclient.AttachToContainerOptions {
	keys := detachKeys
	if keys == "" {
		keys = disabledDetachKeys
	}
	options := dockerclient.AttachToContainerOptions{
		// The library sends the parameter detachkeys, but the daemon knows only detachKeys. So the path ends here with
		// a parameter "path", which swallows the rest of the library's URL.
		Container:  a.containerID + "/attach?detachKeys=" + url.QueryEscape(keys) + "&path=",
		DetachKeys: keys, RawTerminal: true, OutputStream: a.out, ErrorStream: a.out,
		Stream: true, Stdout: true, Stderr: true, Stdin: a.input != nil,
	}
	if a.input != nil {
		options.InputStream = a.input
	}
	return options
}
