package docker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	dockerclient "github.com/fsouza/go-dockerclient"

	"nomadctld/backends"
)

// execution is one program that runs in a container.
type execution struct {
	docker    *Docker
	place     backends.TaskRef
	program   backends.Program
	prelude   *prelude // nil: none. create sets it to nil where the shell would drop variables
	speaker   *speaker
	container string
	id        string

	stream *stream
	input  *input // nil: none
}

// Exec implements backends.Runtime.
func (d *Docker) Exec(ctx context.Context, in backends.TaskRef, p backends.Program) (code int, err error) {
	if len(p.Argv) == 0 {
		return 0, errors.New("no program is named")
	}
	if p.Session == "" {
		p.Session = rand.Text()
	}
	if first := newPrelude(p); first != nil {
		code, err := d.exec(ctx, &execution{docker: d, place: in, program: p, prelude: first})
		if !errors.Is(err, errNoPrelude) {
			return code, err
		}
	}
	return d.exec(ctx, &execution{docker: d, place: in, program: p})
}

func (d *Docker) exec(ctx context.Context, e *execution) (code int, err error) {
	if err := e.create(ctx); err != nil {
		return 0, err
	}
	return e.run(ctx)
}

// create finds the container and makes the exec in it, which runs nothing yet.
func (e *execution) create(ctx context.Context) error {
	return e.docker.ask(ctx, e.place.Node, func(ctx context.Context, s *speaker) error {
		at, err := s.running(ctx, e.place)
		if err != nil {
			return err
		}
		options, err := s.options(e.program)
		if err != nil {
			return err
		}
		if !passesOn(at.Config.Env) || !passesOn(options.Env) {
			e.prelude = nil
		}
		if e.prelude != nil {
			options.Cmd = e.prelude.argv
		}
		id, err := s.createExec(ctx, at.ID, options)
		if err != nil {
			return notRunning(e.place.Task, err)
		}
		e.speaker, e.container, e.id = s, at.ID, id
		return nil
	})
}

// createExec makes an exec, which runs nothing yet, and returns its ID. go-dockerclient's own takes every 404 for a missing
// container.
func (s *speaker) createExec(ctx context.Context, container string, options execOptions) (id string, err error) {
	var created struct{ ID string }
	body, err := s.body(ctx, http.MethodPost, "/containers/"+container+"/exec", options)
	if err == nil {
		err = json.Unmarshal(body, &created)
	}
	if err == nil && created.ID == "" {
		err = errUnreadable
	}
	return created.ID, err
}

// execOptions are those of an exec.
type execOptions struct {
	dockerclient.CreateExecOptions
	ConsoleSize *[2]int `json:",omitempty"` // rows and columns; since API 1.42
}

// options are those of an exec, as far as this version of the API has what the program asks for.
func (s *speaker) options(p backends.Program) (execOptions, error) {
	options := execOptions{CreateExecOptions: dockerclient.CreateExecOptions{
		Cmd: p.Argv, User: p.User, WorkingDir: p.Dir,
		AttachStdin: p.Stdin != nil, AttachStdout: true, AttachStderr: true, Tty: p.Terminal != nil,
	}}
	if p.Terminal != nil {
		options.DetachKeys = noKeys
		if columns, rows := p.Terminal.Size(); columns > 0 && rows > 0 && s.knows(1, 42) {
			options.ConsoleSize = &[2]int{rows, columns}
		}
	}
	if p.Dir != "" && !s.knows(1, 35) {
		return options, s.tooOld("a directory for the program", "1.35")
	}
	if s.knows(1, 25) {
		options.Env = slices.Concat(p.OptionalEnv, p.Env, []string{backends.SessionVariable + "=" + p.Session})
		return options, nil
	}
	if len(p.Env) > 0 {
		return options, s.tooOld("environment variables for the program", "1.25")
	}
	return options, nil
}

func (s *speaker) tooOld(what, needed string) error {
	return sayf("%s: this %w: it takes Docker API %s, and %s is spoken (the setting dockerapi may pin an older one than the daemon knows)",
		what, backends.ErrUnsupported, needed, s.version)
}

// noKeys would detach from a terminal if they came one by one. Docker has no way to say that none do, holds back a
// first key that comes alone until the next one, and takes ASCII only; so it is the one whose effect is seen least.
const noKeys = "ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^"

const (
	watchEvery = 500 * time.Millisecond
	idleFirst  = 500 * time.Millisecond // after which it is asked whether the program has ended
	idleMost   = 2 * time.Second
	briefly    = 300 * time.Millisecond // for the answer: a daemon gives none while it waits for a reader
	longer     = time.Second            // where one is slow anyway, and what it says may still be of use

	dropped    = 3 * time.Second // and by then a daemon has dropped what nobody has read of a program that has ended
	aheadPause = 5 * time.Millisecond

	// A daemon closes the stream itself two seconds after the program's end, since Docker 20.10 whoever holds it open.
	lateEnd = 10 * time.Second

	// How much later than its streams a program may end for the daemon.
	lateMost = 2 * time.Second
	latePoll = 50 * time.Millisecond
)

// run starts the exec and stays until it has ended.
func (e *execution) run(ctx context.Context) (int, error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var side sync.WaitGroup
	defer side.Wait()
	defer cancel()

	if err := e.start(ctx, own); err != nil {
		return 0, explain(ctx, e.place.Node, err)
	}
	out := e.stream.out
	if e.program.Terminal != nil {
		resize := "/exec/" + e.id + "/resize"
		side.Go(out.guard(func() { e.speaker.follow(own, resize, e.program.Terminal) }))
		if e.prelude != nil {
			side.Go(out.guard(func() {
				select {
				case <-e.prelude.began: // the prelude may have overwritten a size that was set before
					e.speaker.fit(own, resize, e.program.Terminal)
				case <-own.Done():
				}
			}))
		}
	}
	signals, queue := e.program.Signals, make(chan string, 16)
	if signals != nil {
		side.Go(out.guard(func() { e.deliver(own, queue) }))
	}
	side.Go(out.guard(func() { e.watch(own) }))
	for {
		select {
		case <-e.stream.done:
			return e.finish(ctx)
		case <-ctx.Done():
			return 0, e.end(context.Cause(ctx))
		case <-out.broken:
			return 0, e.end(out.failed())
		case name, more := <-signals:
			if !more {
				signals = nil
			}
			select {
			case queue <- name:
			default: // the program has more to do than this
			}
		}
	}
}

// watch looks again and again whether the program has ended, until ctx ends. What a child in the background holds open, or
// writes to, would go on after it; and what the client does not take then is lost unless it is read all the same.
func (e *execution) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	out, asked, wait, patience := e.stream.out, time.Now(), idleFirst, briefly
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if out.idle() < idleFirst {
			wait, patience = idleFirst, min(patience, longer)
		} else if time.Since(asked) < wait {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, patience)
		is, err := e.speaker.execution(asking, e.id)
		late := asking.Err() != nil
		cancel()
		ended := err == nil && is.ended()
		if ended {
			out.drain()
		}
		if late || ended {
			for until := time.Now().Add(dropped); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(aheadPause) {
				out.readAhead()
			}
		}
		if patience = min(2*patience, answerTimeout); !late {
			patience = briefly
		}
		asked, wait = time.Now(), min(2*wait, idleMost)
	}
}

// start opens the stream, which begins to run the program.
func (e *execution) start(ctx, own context.Context) error {
	p := e.program
	stdout := p.Stdout
	if e.prelude != nil {
		stdout = e.prelude
	}
	out := newOutput(stdout, p.Stderr, p.Terminal != nil)
	if e.speaker.knows(1, 41) {
		out.patience = lateEnd
	}
	out.admit = func() admission {
		is, err := e.speaker.execution(own, e.id)
		switch {
		case err == nil && !is.started():
			return itsReason
		case err == nil && is.doubtful():
			return doubtful
		}
		return itsOutput
	}
	options := dockerclient.StartExecOptions{OutputStream: out, ErrorStream: out, Tty: p.Terminal != nil, RawTerminal: true}
	if p.Stdin != nil {
		e.input = &input{from: p.Stdin, terminal: p.Terminal != nil, eof: ctrlD, over: own.Done(), refused: func() bool { return !out.wire.accepted() }, fail: out.fail}
		if e.prelude != nil { // before, the terminal would show what is typed before the mark
			e.input.begin = e.prelude.began
			if eof, ok := p.Modes.Char(backends.ModeEOF); ok {
				e.input.eof = eof
			}
		}
		options.InputStream = e.input
	}
	// A terminal whose input ends is closed by Docker, with output still in it.
	keep := p.Terminal != nil || p.Stdin == nil
	var err error
	e.stream, err = e.speaker.open(ctx, out, keep, e.docker.answer, func(client *dockerclient.Client) (dockerclient.CloseWaiter, error) {
		return client.StartExecNonBlocking(e.id, options)
	})
	return err
}

// execState is what the daemon says of an exec.
type execState struct {
	Running   bool
	ExitCode  *int
	Pid       int  // on the node; for Podman 0 once the program has ended
	CanRemove bool // for Podman: it has ended, or could not be started. Docker sets it for purposes of its own

	podman bool
}

// ended reports whether it is known to have ended.
func (s execState) ended() bool { return !s.Running && s.started() }

// started reports whether it was ever running, or for Podman whether that was tried. The daemon writes the reason why not into
// the stream.
func (s execState) started() bool { return s.Running || s.Pid != 0 || s.podman && s.CanRemove }

// doubtful reports whether Podman may have failed to start the program: only the output tells that from a program that
// ended with such a code itself.
func (s execState) doubtful() bool {
	return s.podman && !s.Running && s.ExitCode != nil && *s.ExitCode >= 125 && *s.ExitCode <= 127
}

func (s *speaker) execution(ctx context.Context, id string) (is execState, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	body, err := s.get(ctx, "/exec/"+id+"/json")
	if err == nil {
		err = json.Unmarshal(body, &is)
	}
	is.podman = s.podman
	return is, err
}

// hasEnded reports whether the program is known to have ended.
func (e *execution) hasEnded(ctx context.Context) bool {
	is, err := e.speaker.execution(ctx, e.id)
	return err == nil && is.ended()
}

// finish says what came of the program when the stream has ended.
func (e *execution) finish(ctx context.Context) (int, error) {
	out, node := e.stream.out, e.place.Node
	out.settle()
	switch {
	case ctx.Err() != nil:
		return 0, e.end(context.Cause(ctx))
	case out.failed() != nil:
		return 0, e.end(out.failed())
	case out.wire.status.Load() == 0:
		if is, err := e.speaker.execution(ctx, e.id); err == nil && is.Running {
			return 0, e.end(e.lost()) // it was begun all the same
		}
		return 0, explain(ctx, node, cmp.Or(out.end, io.EOF))
	case !out.wire.accepted():
		err := &dockerclient.Error{Status: int(out.wire.status.Load()), Message: message(out.text)}
		return 0, explain(ctx, node, notRunning(e.place.Task, err))
	}
	// Docker's streams have no mark at their end; but they end after the program, so one that still runs has lost its stream.
	whole := out.whole(e.input)
	is, err := e.speaker.execution(ctx, e.id)
	for since := time.Now(); whole && (err != nil || is.Running) && ctx.Err() == nil && time.Since(since) < lateMost; time.Sleep(latePoll) {
		is, err = e.speaker.execution(ctx, e.id)
	}
	if ctx.Err() != nil {
		return 0, e.end(context.Cause(ctx))
	}
	switch {
	case err != nil || is.Running: // or it may go on
		return 0, e.end(e.lost())
	case !whole:
		return 0, e.lost()
	}
	if e.prelude != nil {
		if err := e.prelude.verdict(e.program.Argv[0], is.started() && !out.reason); err != nil {
			return 0, err
		}
	}
	switch {
	case !is.started(), out.reason:
		return 0, notStarted(e.program, string(out.text))
	case is.ExitCode == nil:
		return 0, explain(ctx, node, errUnreadable)
	}
	return *is.ExitCode, nil
}

// lost is a stream that broke.
func (e *execution) lost() error {
	return fmt.Errorf("the docker daemon of node %s %w: the connection was closed, and what became of %s is not known",
		shown(e.place.Node.Name), ErrUnreachable, shown(e.program.Argv[0]))
}

// notRunning puts an answer about a container that is gone or does not run in words.
func notRunning(task string, err error) error {
	var gone *dockerclient.NoSuchContainer
	var answer *dockerclient.Error
	switch {
	case errors.As(err, &answer) && declines(answer):
		return err
	case errors.As(err, &gone), hasStatus(err, http.StatusNotFound):
		return sayf("the container of task %s %w (any more)", shown(task), backends.ErrTaskNotRunning)
	case errors.As(err, &answer) && answer.Status == http.StatusConflict && strings.Contains(answer.Message, "paused"):
		return errPaused(task)
	case hasStatus(err, http.StatusConflict):
		return sayf("the container of task %s %w", shown(task), backends.ErrTaskNotRunning)
	}
	return err
}

func errPaused(task string) error { return sayf("the container of task %s is paused", shown(task)) }
