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

// execInstance is one program that runs in a container.
type execInstance struct {
	docker      *Docker
	ref         backends.TaskRef
	program     backends.Program
	setup       *ttySetup // nil: none. create sets it to nil where the shell would drop variables
	api         *apiClient
	containerID string
	id          string

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
	if first := newTTYSetup(p); first != nil {
		code, err := d.exec(ctx, &execInstance{docker: d, ref: in, program: p, setup: first})
		if !errors.Is(err, errNoSetupShell) {
			return code, err
		}
	}
	return d.exec(ctx, &execInstance{docker: d, ref: in, program: p})
}

func (d *Docker) exec(ctx context.Context, e *execInstance) (code int, err error) {
	if err := e.create(ctx); err != nil {
		return 0, err
	}
	return e.run(ctx)
}

// create finds the container and makes the exec in it, which runs nothing yet.
func (e *execInstance) create(ctx context.Context) error {
	return e.docker.withClient(ctx, e.ref.Node, func(ctx context.Context, s *apiClient) error {
		at, err := s.runningContainer(ctx, e.ref)
		if err != nil {
			return err
		}
		options, err := s.options(e.program)
		if err != nil {
			return err
		}
		if !shellsKeep(at.Config.Env) || !shellsKeep(options.Env) {
			e.setup = nil
		}
		if e.setup != nil {
			options.Cmd = e.setup.argv
		}
		id, err := s.createExec(ctx, at.ID, options)
		if err != nil {
			return explainNotRunning(e.ref.Task, err)
		}
		e.api, e.containerID, e.id = s, at.ID, id
		return nil
	})
}

// createExec makes an exec, which runs nothing yet, and returns its ID. go-dockerclient's own takes every 404 for a missing
// container.
func (s *apiClient) createExec(ctx context.Context, container string, options execOptions) (id string, err error) {
	var created struct{ ID string }
	body, err := s.readBody(ctx, http.MethodPost, "/containers/"+container+"/exec", options)
	if err == nil {
		err = json.Unmarshal(body, &created)
	}
	if err == nil && created.ID == "" {
		err = errBadResponse
	}
	return created.ID, err
}

// execOptions are those of an exec.
type execOptions struct {
	dockerclient.CreateExecOptions
	ConsoleSize *[2]int `json:",omitempty"` // rows and columns; since API 1.42
}

// options are those of an exec, as far as this version of the API has what the program asks for.
func (s *apiClient) options(p backends.Program) (execOptions, error) {
	options := execOptions{CreateExecOptions: dockerclient.CreateExecOptions{
		Cmd: p.Argv, User: p.User, WorkingDir: p.Dir,
		AttachStdin: p.Stdin != nil, AttachStdout: true, AttachStderr: true, Tty: p.Terminal != nil,
	}}
	if p.Terminal != nil {
		options.DetachKeys = disabledDetachKeys
		if columns, rows := p.Terminal.Size(); columns > 0 && rows > 0 && s.supports(1, 42) {
			options.ConsoleSize = &[2]int{rows, columns}
		}
	}
	if p.Dir != "" && !s.supports(1, 35) {
		return options, s.errTooOld("a directory for the program", "1.35")
	}
	if s.supports(1, 25) {
		options.Env = slices.Concat(p.OptionalEnv, p.Env, []string{backends.SessionVariable + "=" + p.Session})
		return options, nil
	}
	if len(p.Env) > 0 {
		return options, s.errTooOld("environment variables for the program", "1.25")
	}
	return options, nil
}

func (s *apiClient) errTooOld(what, needed string) error {
	return userErrorf("%s: this %w: it takes Docker API %s, and %s is spoken (the setting dockerapi may pin an older one than the daemon knows)",
		what, backends.ErrUnsupported, needed, s.version)
}

// disabledDetachKeys would detach from a terminal if they came one by one. Docker has no way to say that none do, holds back a
// first key that comes alone until the next one, and takes ASCII only; so it is the one whose effect is seen least.
const disabledDetachKeys = "ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^"

const (
	watchInterval        = 500 * time.Millisecond
	idleCheckInterval    = 500 * time.Millisecond // after which it is asked whether the program has ended
	maxIdleCheckInterval = 2 * time.Second
	inspectTimeout       = 300 * time.Millisecond // for the answer: a daemon gives none while it waits for a reader
	slowInspectTimeout   = time.Second            // where one is slow anyway, and what it says may still be of use

	dropGrace         = 3 * time.Second // and by then a daemon has dropped what nobody has read of a program that has ended
	readAheadInterval = 5 * time.Millisecond

	// A daemon closes the stream itself two seconds after the program's end, since Docker 20.10 whoever holds it open.
	streamEndTimeout = 10 * time.Second

	// How much later than its streams a program may end for the daemon.
	exitTimeout      = 2 * time.Second
	exitPollInterval = 50 * time.Millisecond
)

// run starts the exec and stays until it has ended.
func (e *execInstance) run(ctx context.Context) (int, error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var side sync.WaitGroup
	defer side.Wait()
	defer cancel()

	if err := e.start(ctx, own); err != nil {
		return 0, explain(ctx, e.ref.Node, err)
	}
	out := e.stream.out
	if e.program.Terminal != nil {
		resize := "/exec/" + e.id + "/resize"
		side.Go(out.guard(func() { e.api.followSize(own, resize, e.program.Terminal) }))
		if e.setup != nil {
			side.Go(out.guard(func() {
				select {
				case <-e.setup.started: // the prelude may have overwritten a size that was set before
					e.api.resize(own, resize, e.program.Terminal)
				case <-own.Done():
				}
			}))
		}
	}
	signals, queue := e.program.Signals, make(chan string, 16)
	if signals != nil {
		side.Go(out.guard(func() { e.deliverSignals(own, queue) }))
	}
	side.Go(out.guard(func() { e.watchExit(own) }))
	for {
		select {
		case <-e.stream.done:
			return e.result(ctx)
		case <-ctx.Done():
			return 0, e.terminate(context.Cause(ctx))
		case <-out.broken:
			return 0, e.terminate(out.failed())
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

// watchExit looks again and again whether the program has ended, until ctx ends. What a child in the background holds open, or
// writes to, would go on after it; and what the client does not take then is lost unless it is read all the same.
func (e *execInstance) watchExit(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	out, asked, wait, patience := e.stream.out, time.Now(), idleCheckInterval, inspectTimeout
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if out.idle() < idleCheckInterval {
			wait, patience = idleCheckInterval, min(patience, slowInspectTimeout)
		} else if time.Since(asked) < wait {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, patience)
		is, err := e.api.inspectExec(asking, e.id)
		late := asking.Err() != nil
		cancel()
		ended := err == nil && is.exited()
		if ended {
			out.drain()
		}
		if late || ended {
			for until := time.Now().Add(dropGrace); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(readAheadInterval) {
				out.readAhead()
			}
		}
		if patience = min(2*patience, responseTimeout); !late {
			patience = inspectTimeout
		}
		asked, wait = time.Now(), min(2*wait, maxIdleCheckInterval)
	}
}

// start opens the stream, which begins to run the program.
func (e *execInstance) start(ctx, own context.Context) error {
	p := e.program
	stdout := p.Stdout
	if e.setup != nil {
		stdout = e.setup
	}
	out := newOutput(stdout, p.Stderr, p.Terminal != nil)
	if e.api.supports(1, 41) {
		out.drainIdleTimeout = streamEndTimeout
	}
	out.classify = func() outputKind {
		is, err := e.api.inspectExec(own, e.id)
		switch {
		case err == nil && !is.started():
			return startErrorOutput
		case err == nil && is.maybeNotStarted():
			return uncertainOutput
		}
		return programOutput
	}
	options := dockerclient.StartExecOptions{OutputStream: out, ErrorStream: out, Tty: p.Terminal != nil, RawTerminal: true}
	if p.Stdin != nil {
		e.input = &input{source: p.Stdin, terminal: p.Terminal != nil, eofKey: ctrlD, streamDone: own.Done(), refused: func() bool { return !out.conn.accepted() }, fail: out.fail}
		if e.setup != nil { // before, the terminal would show what is typed before the mark
			e.input.ready = e.setup.started
			if eof, ok := p.Modes.Char(backends.ModeEOF); ok {
				e.input.eofKey = eof
			}
		}
		options.InputStream = e.input
	}
	// A terminal whose input ends is closed by Docker, with output still in it.
	keep := p.Terminal != nil || p.Stdin == nil
	var err error
	e.stream, err = e.api.open(ctx, out, keep, e.docker.responseTimeout, func(client *dockerclient.Client) (dockerclient.CloseWaiter, error) {
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

// exited reports whether it is known to have ended.
func (s execState) exited() bool { return !s.Running && s.started() }

// started reports whether it was ever running, or for Podman whether that was tried. The daemon writes the reason why not into
// the stream.
func (s execState) started() bool { return s.Running || s.Pid != 0 || s.podman && s.CanRemove }

// maybeNotStarted reports whether Podman may have failed to start the program: only the output tells that from a program that
// ended with such a code itself.
func (s execState) maybeNotStarted() bool {
	return s.podman && !s.Running && s.ExitCode != nil && *s.ExitCode >= 125 && *s.ExitCode <= 127
}

func (s *apiClient) inspectExec(ctx context.Context, id string) (is execState, err error) {
	ctx, cancel := context.WithTimeout(ctx, responseTimeout)
	defer cancel()
	body, err := s.get(ctx, "/exec/"+id+"/json")
	if err == nil {
		err = json.Unmarshal(body, &is)
	}
	is.podman = s.podman
	return is, err
}

// hasExited reports whether the program is known to have ended.
func (e *execInstance) hasExited(ctx context.Context) bool {
	is, err := e.api.inspectExec(ctx, e.id)
	return err == nil && is.exited()
}

// result says what came of the program when the stream has ended.
func (e *execInstance) result(ctx context.Context) (int, error) {
	out, node := e.stream.out, e.ref.Node
	out.decide()
	switch {
	case ctx.Err() != nil:
		return 0, e.terminate(context.Cause(ctx))
	case out.failed() != nil:
		return 0, e.terminate(out.failed())
	case out.conn.status.Load() == 0:
		if is, err := e.api.inspectExec(ctx, e.id); err == nil && is.Running {
			return 0, e.terminate(e.connectionLost()) // it was begun all the same
		}
		return 0, explain(ctx, node, cmp.Or(out.readErr, io.EOF))
	case !out.conn.accepted():
		err := &dockerclient.Error{Status: int(out.conn.status.Load()), Message: errorMessage(out.errorText)}
		return 0, explain(ctx, node, explainNotRunning(e.ref.Task, err))
	}
	// Docker's streams have no mark at their end; but they end after the program, so one that still runs has lost its stream.
	whole := out.endedCleanly(e.input)
	is, err := e.api.inspectExec(ctx, e.id)
	for since := time.Now(); whole && (err != nil || is.Running) && ctx.Err() == nil && time.Since(since) < exitTimeout; time.Sleep(exitPollInterval) {
		is, err = e.api.inspectExec(ctx, e.id)
	}
	if ctx.Err() != nil {
		return 0, e.terminate(context.Cause(ctx))
	}
	switch {
	case err != nil || is.Running: // or it may go on
		return 0, e.terminate(e.connectionLost())
	case !whole:
		return 0, e.connectionLost()
	}
	if e.setup != nil {
		if err := e.setup.check(e.program.Argv[0], is.started() && !out.isStartError); err != nil {
			return 0, err
		}
	}
	switch {
	case !is.started(), out.isStartError:
		return 0, startError(e.program, string(out.errorText))
	case is.ExitCode == nil:
		return 0, explain(ctx, node, errBadResponse)
	}
	return *is.ExitCode, nil
}

// connectionLost is a stream that broke.
func (e *execInstance) connectionLost() error {
	return fmt.Errorf("the docker daemon of node %s %w: the connection was closed, and what became of %s is not known",
		displayName(e.ref.Node.Name), ErrUnreachable, displayName(e.program.Argv[0]))
}

// explainNotRunning puts an answer about a container that is gone or does not run in words.
func explainNotRunning(task string, err error) error {
	var gone *dockerclient.NoSuchContainer
	var answer *dockerclient.Error
	switch {
	case errors.As(err, &answer) && isDeclined(answer):
		return err
	case errors.As(err, &gone), hasStatus(err, http.StatusNotFound):
		return userErrorf("the container of task %s %w (any more)", displayName(task), backends.ErrTaskNotRunning)
	case errors.As(err, &answer) && answer.Status == http.StatusConflict && strings.Contains(answer.Message, "paused"):
		return errPaused(task)
	case hasStatus(err, http.StatusConflict):
		return userErrorf("the container of task %s %w", displayName(task), backends.ErrTaskNotRunning)
	}
	return err
}

func errPaused(task string) error {
	return userErrorf("the container of task %s is paused", displayName(task))
}
