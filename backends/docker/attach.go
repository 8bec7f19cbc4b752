package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
)

// Attach implements backends.Runtime.
func (d *Docker) Attach(ctx context.Context, in backends.Place, a backends.Attachment) (code int, err error) {
	var s *speaker
	var at described
	err = d.ask(ctx, in.Node, func(ctx context.Context, asked *speaker) (err error) {
		s = asked
		if at, err = s.running(ctx, in); err == nil {
			err = attachable(in.Task, at, a)
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
	end := make(chan ending, 1)
	side.Go(func() {
		code, err := s.client.WaitContainerWithContext(at.ID, own)
		end <- ending{code, err}
	})
	notes := a.Stderr
	if a.Lines != nil && a.ErrLines != nil {
		if notes = a.ErrLines; !at.Config.Tty {
			a.Stdout, a.Stderr = a.Lines, a.ErrLines
		}
	}
	// What an attached client does not take would hold up the task, and everybody else who follows it.
	lag := newLagging(notes)
	defer func() {
		lag.close()
		select {
		case <-lag.done:
			if err == nil {
				err = lag.failure
			}
		case <-ctx.Done():
			lag.drop()
			<-lag.done
			if err == nil {
				err = context.Cause(ctx)
			}
		}
	}()
	out := newOutput(lag.writer(a.Stdout), lag.writer(a.Stderr), at.Config.Tty)
	st, err := s.open(ctx, out, true, d.answer, func(client *dockerclient.Client) (dockerclient.CloseWaiter, error) {
		return client.AttachToContainerNonBlocking(attachOptions(at, a, out))
	})
	if err != nil {
		return 0, explain(ctx, in.Node, err)
	}
	defer func() {
		st.close()
		<-st.done
	}()
	if at.Config.Tty && a.Stdin != nil && a.Terminal != nil {
		side.Go(func() { s.follow(own, "/containers/"+at.ID+"/resize", a.Terminal) })
	}
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-out.broken:
		return 0, out.failure
	case ended := <-end:
		if ended.err == nil {
			end <- ended
			out.drain()
		}
		select {
		case <-st.done:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	case <-st.done:
	}
	return d.detached(ctx, in, s, at, a, out, end)
}

// ending is how a container has ended, or why that is not known.
type ending struct {
	code int
	err  error
}

// detached says why an attached stream has ended.
func (d *Docker) detached(ctx context.Context, in backends.Place, s *speaker, at described, a backends.Attachment, out *output, end <-chan ending) (int, error) {
	switch status := out.wire.status.Load(); {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case status == 0:
		return 0, explain(ctx, in.Node, errors.Join(out.end, io.EOF))
	case !out.wire.accepted():
		err := &dockerclient.Error{Status: int(status), Message: message(out.text)}
		return 0, explain(ctx, in.Node, notRunning(in.Task, err))
	}
	lost := fmt.Errorf("the docker daemon of node %s %w: the connection was closed, the task may go on", shown(in.Node.Name), ErrUnreachable)
	// The stream of a container that has ended is closed before its end is told.
	known, cancel := context.WithTimeout(ctx, lateMost)
	defer cancel()
	if out.end == nil && a.DetachKeys != "" {
		// After the keys the container goes on, which can be asked.
		body, err := s.inspect(known, at.ID, in.Task, in.Allocation.ID)
		if err == nil && body != nil {
			if is, err := parse(body); err == nil && is.State.Running {
				return 0, backends.ErrDetached
			}
		}
	}
	select {
	case ended := <-end:
		if ended.err == nil {
			return ended.code, nil
		}
		if body, err := s.inspect(known, at.ID, in.Task, in.Allocation.ID); err == nil && body != nil && out.end == nil {
			if is, err := parse(body); err == nil && !is.State.Running {
				return is.State.ExitCode, nil
			}
		}
	case <-known.Done():
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return 0, lost
}

// attachable says why a container cannot be attached to as asked.
func attachable(task string, at described, a backends.Attachment) error {
	switch {
	case a.Stdin == nil:
		return nil
	case !at.Config.OpenStdin:
		return sayf("attaching with input to task %s %w: its job does not set interactive, so its standard input is closed", shown(task), backends.ErrUnsupported)
	case at.Config.StdinOnce:
		return sayf("attaching with input to task %s %w: its standard input would be closed with this session", shown(task), backends.ErrUnsupported)
	}
	return nil
}

func attachOptions(at described, a backends.Attachment, out *output) dockerclient.AttachToContainerOptions {
	keys := a.DetachKeys
	if keys == "" {
		keys = noKeys
	}
	options := dockerclient.AttachToContainerOptions{
		// The library writes detachkeys, which the daemon does not know; so the path already ends here, in a parameter
		// that swallows that one, the first of the library's own.
		Container:  at.ID + "/attach?detachKeys=" + url.QueryEscape(keys) + "&path=",
		DetachKeys: keys, RawTerminal: true, OutputStream: out, ErrorStream: out,
		Stream: true, Stdout: true, Stderr: true, Stdin: a.Stdin != nil,
	}
	if a.Stdin != nil {
		options.InputStream = &input{from: a.Stdin}
	}
	return options
}
