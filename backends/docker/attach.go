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
		var ended ending
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
	out.patience = lateEnd // the daemon closes the stream with the container
	to := &attachment{speaker: s, place: in, container: at.ID, out: out, end: end}
	if a.Stdin != nil {
		to.input = &input{from: a.Stdin, over: own.Done(), refused: func() bool { return !out.wire.accepted() }, fail: out.fail}
		if a.PlainStdin != nil && !at.Config.Tty {
			to.input.from = a.PlainStdin
		}
		if at.Config.Tty { // only there does Docker look for them
			to.input.keys = backends.ParseDetachKeys(a.DetachKeys)
		}
	}
	st, err := s.open(ctx, out, true, d.answer, func(client *dockerclient.Client) (dockerclient.CloseWaiter, error) {
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
		side.Go(out.guard(func() { s.follow(own, "/containers/"+at.ID+"/resize", a.Terminal) }))
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
		return to.finish(ctx)
	}
}

// attachment is a user's to a container.
type attachment struct {
	speaker   *speaker
	place     backends.TaskRef
	container string
	input     *input // nil: none
	out       *output
	end       chan ending // of the container
}

// ending is how a container has ended, or why that is not known.
type ending struct {
	code int
	err  error
}

// finish says what came of the attachment when the stream has ended, or is not wanted any more.
func (a *attachment) finish(ctx context.Context) (int, error) {
	out, node := a.out, a.place.Node
	switch status := out.wire.status.Load(); {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case out.failed() != nil:
		return 0, out.failed()
	case status == 0:
		return 0, explain(ctx, node, errors.Join(out.end, io.EOF))
	case !out.wire.accepted():
		err := &dockerclient.Error{Status: int(status), Message: message(out.text)}
		return 0, explain(ctx, node, notRunning(a.place.Task, err))
	case !out.whole(a.input):
		return 0, a.lost()
	}
	// The stream of a container that has ended is closed before its end is told.
	known, cancel := context.WithTimeout(ctx, lateMost)
	defer cancel()
	if a.input != nil && a.input.pressed.Load() { // after the keys the container goes on
		if is, err := a.state(known); err == nil && is.State.Running {
			return 0, backends.ErrDetached
		}
	}
	select {
	case ended := <-a.end:
		if ended.err == nil {
			return ended.code, nil
		}
		for ; known.Err() == nil; time.Sleep(latePoll) {
			if is, err := a.state(known); err == nil && !is.State.Running {
				return is.State.ExitCode, nil
			}
		}
	case <-known.Done():
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return 0, a.lost()
}

// state asks how the container is.
func (a *attachment) state(ctx context.Context) (is described, err error) {
	body, err := a.speaker.inspect(ctx, a.container, a.place.Task, a.place.Allocation.ID)
	switch {
	case err != nil:
		return is, err
	case body == nil:
		return is, ErrNoContainer
	}
	return parse(body)
}

// lost is a stream that broke.
func (a *attachment) lost() error {
	return fmt.Errorf("the docker daemon of node %s %w: the connection was closed, the task may go on", shown(a.place.Node.Name), ErrUnreachable)
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

func (a *attachment) options(detachKeys string) dockerclient.AttachToContainerOptions {
	keys := detachKeys
	if keys == "" {
		keys = noKeys
	}
	options := dockerclient.AttachToContainerOptions{
		// The library writes detachkeys, which the daemon does not know; so the path already ends here, in a parameter
		// that swallows that one, the first of the library's own.
		Container:  a.container + "/attach?detachKeys=" + url.QueryEscape(keys) + "&path=",
		DetachKeys: keys, RawTerminal: true, OutputStream: a.out, ErrorStream: a.out,
		Stream: true, Stdout: true, Stderr: true, Stdin: a.input != nil,
	}
	if a.input != nil {
		options.InputStream = a.input
	}
	return options
}
