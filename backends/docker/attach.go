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
)

// Attach implements backends.Runtime.
func (d *Docker) Attach(ctx context.Context, in backends.TaskRef, a backends.Attachment) (code int, err error) {
	var s *apiClient
	var at container
	err = d.withClient(ctx, in.Node, func(ctx context.Context, asked *apiClient) (err error) {
		s = asked
		if at, err = s.runningContainer(ctx, in); err == nil {
			err = checkAttach(in.Task, at, a)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var side sync.WaitGroup
	defer side.Wait()
	defer cancel()

	// Nomad may remove a container as soon as it has ended, so this has to be asked before.
	end := make(chan exitResult, 1)
	side.Go(func() {
		var ended exitResult
		ended.err = backends.Protect(func() (err error) {
			ended.code, err = s.client.WaitContainerWithContext(at.ID, own)
			return err
		})
		end <- ended
	})
	notes := a.Stderr
	if a.PlainStdout != nil && a.PlainStderr != nil {
		if notes = a.PlainStderr; !at.Config.Tty {
			a.Stdout, a.Stderr = a.PlainStdout, a.PlainStderr
		}
	}
	// What an attached client does not take would hold up the task, and everybody else who follows it.
	lag := newDropQueue(notes)
	defer func() {
		lag.close()
		select {
		case <-lag.done:
			if err == nil {
				err = lag.err
			}
		case <-ctx.Done():
			lag.discard()
			<-lag.done
			if err == nil {
				err = context.Cause(ctx)
			}
		}
	}()
	out := newOutput(lag.writer(a.Stdout), lag.writer(a.Stderr), at.Config.Tty)
	out.drainIdleTimeout = streamEndTimeout // the daemon closes the stream with the container
	to := &attachment{api: s, ref: in, containerID: at.ID, out: out, exited: end}
	if a.Stdin != nil {
		to.input = &input{source: a.Stdin, streamDone: own.Done(), refused: func() bool { return !out.conn.accepted() }, fail: out.fail}
		if a.PlainStdin != nil && !at.Config.Tty {
			to.input.source = a.PlainStdin
		}
		if at.Config.Tty { // only there does Docker look for them
			to.input.detachKeys = backends.ParseDetachKeys(a.DetachKeys)
		}
	}
	st, err := s.open(ctx, out, true, d.responseTimeout, func(client *dockerclient.Client) (dockerclient.CloseWaiter, error) {
		return client.AttachToContainerNonBlocking(to.options(a.DetachKeys))
	})
	if err != nil {
		return 0, explain(ctx, in.Node, err)
	}
	defer func() {
		st.close()
		<-st.done
	}()
	if at.Config.Tty && a.Stdin != nil && a.Terminal != nil {
		side.Go(out.guard(func() { s.followSize(own, "/containers/"+at.ID+"/resize", a.Terminal) }))
	}
	for told := end; ; {
		select {
		case ended := <-told:
			told = nil
			end <- ended
			if ended.err == nil {
				out.drain()
			}
			continue
		case <-ctx.Done():
		case <-out.broken:
		case <-st.done:
		}
		return to.result(ctx)
	}
}

// attachment is a user's to a container.
type attachment struct {
	api         *apiClient
	ref         backends.TaskRef
	containerID string
	input       *input // nil: none
	out         *output
	exited      chan exitResult // of the container
}

// exitResult is how a container has ended, or why that is not known.
type exitResult struct {
	code int
	err  error
}

// result says what came of the attachment when the stream has ended, or is not wanted any more.
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
	// The stream of a container that has ended is closed before its end is told.
	known, cancel := context.WithTimeout(ctx, exitTimeout)
	defer cancel()
	if a.input != nil && a.input.detached.Load() { // after the keys the container goes on
		if is, err := a.inspect(known); err == nil && is.State.Running {
			return 0, backends.ErrDetached
		}
	}
	select {
	case ended := <-a.exited:
		if ended.err == nil {
			return ended.code, nil
		}
		for ; known.Err() == nil; time.Sleep(exitPollInterval) {
			if is, err := a.inspect(known); err == nil && !is.State.Running {
				return is.State.ExitCode, nil
			}
		}
	case <-known.Done():
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return 0, a.connectionLost()
}

// inspect asks how the container is.
func (a *attachment) inspect(ctx context.Context) (is container, err error) {
	body, err := a.api.inspect(ctx, a.containerID, a.ref.Task, a.ref.Allocation.ID)
	switch {
	case err != nil:
		return is, err
	case body == nil:
		return is, ErrNoContainer
	}
	return parseContainer(body)
}

// connectionLost is a stream that broke.
func (a *attachment) connectionLost() error {
	return fmt.Errorf("the docker daemon of node %s %w: the connection was closed, the task may go on", displayName(a.ref.Node.Name), ErrUnreachable)
}

// checkAttach says why a container cannot be attached to as asked.
func checkAttach(task string, at container, a backends.Attachment) error {
	switch {
	case a.Stdin == nil:
		return nil
	case !at.Config.OpenStdin:
		return userErrorf("attaching with input to task %s %w: its job does not set interactive, so its standard input is closed", displayName(task), backends.ErrUnsupported)
	case at.Config.StdinOnce:
		return userErrorf("attaching with input to task %s %w: its standard input would be closed with this session", displayName(task), backends.ErrUnsupported)
	}
	return nil
}

func (a *attachment) options(detachKeys string) dockerclient.AttachToContainerOptions {
	keys := detachKeys
	if keys == "" {
		keys = disabledDetachKeys
	}
	options := dockerclient.AttachToContainerOptions{
		// The library writes detachkeys, which the daemon does not know; so the path already ends here, in a parameter
		// that swallows that one, the first of the library's own.
		Container:  a.containerID + "/attach?detachKeys=" + url.QueryEscape(keys) + "&path=",
		DetachKeys: keys, RawTerminal: true, OutputStream: a.out, ErrorStream: a.out,
		Stream: true, Stdout: true, Stderr: true, Stdin: a.input != nil,
	}
	if a.input != nil {
		options.InputStream = a.input
	}
	return options
}
