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
	setup       *ttySetup // nil: no setup; create sets nil if the shell would drop variables
	api         *apiClient
	containerID string
	id          string

	stream *stream
	input  *input // nil: no input
}

// Exec implements backends.Runtime.
func (d *Docker) Exec(ctx context.Context, in backends.TaskRef, p backends.Program) (code int, err error) {
	if len(p.Argv) == 0 {
		return 0, errors.New("no program given")
	}
	if p.Session == "" {
		p.Session = rand.Text()
	}
	if setup := newTTYSetup(p); setup != nil {
		code, err := d.exec(ctx, &execInstance{docker: d, ref: in, program: p, setup: setup})
		if !errors.Is(err, errNoSetupShell) {
			return code, err
		}
	}
	return d.exec(ctx, &execInstance{docker: d, ref: in, program: p})
}

// exec creates and runs one exec.
func (d *Docker) exec(ctx context.Context, e *execInstance) (code int, err error) {
	if err := e.create(ctx); err != nil {
		return 0, err
	}
	return e.run(ctx)
}

// create finds the container and creates the exec in it. It does not start the program.
func (e *execInstance) create(ctx context.Context) error {
	return e.docker.withClient(ctx, e.ref.Node, func(ctx context.Context, api *apiClient) error {
		c, err := api.runningContainer(ctx, e.ref)
		if err != nil {
			return err
		}
		options, err := api.options(e.program)
		if err != nil {
			return err
		}
		if !shellsPassOn(c.Config.Env) || !shellsPassOn(options.Env) {
			e.setup = nil
		}
		if e.setup != nil {
			options.Cmd = e.setup.argv
		}
		id, err := api.createExec(ctx, c.ID, options)
		if err != nil {
			return explainNotRunning(e.ref.Task, err)
		}
		e.api, e.containerID, e.id = api, c.ID, id
		return nil
	})
}

// createExec creates an exec without starting it and returns its ID. It does not use the method of go-dockerclient,
// which reports every 404 as a missing container.
func (c *apiClient) createExec(ctx context.Context, container string, options execOptions) (id string, err error) {
	var created struct{ ID string }
	body, err := c.sendAndRead(ctx, http.MethodPost, "/containers/"+container+"/exec", options)
	if err == nil {
		err = json.Unmarshal(body, &created)
	}
	if err == nil && created.ID == "" {
		err = errBadResponse
	}
	return created.ID, err
}

// execOptions are the options of an exec.
type execOptions struct {
	dockerclient.CreateExecOptions
	ConsoleSize *[2]int `json:",omitempty"` // rows, columns; since API 1.42
}

// options returns the exec options for p, or an error if this API version lacks one that p needs.
func (c *apiClient) options(p backends.Program) (execOptions, error) {
	options := execOptions{CreateExecOptions: dockerclient.CreateExecOptions{
		Cmd: p.Argv, User: p.User, WorkingDir: p.Dir,
		AttachStdin: p.Stdin != nil, AttachStdout: true, AttachStderr: true, Tty: p.Terminal != nil,
	}}
	if p.Terminal != nil {
		options.DetachKeys = disabledDetachKeys
		if columns, rows := p.Terminal.Size(); columns > 0 && rows > 0 && c.supports(1, 42) {
			options.ConsoleSize = &[2]int{rows, columns}
		}
	}
	if p.Dir != "" && !c.supports(1, 35) {
		return options, c.errTooOld("exec in a directory", "1.35")
	}
	if c.supports(1, 25) {
		options.Env = slices.Concat(p.OptionalEnv, p.Env, []string{backends.SessionVariable + "=" + p.Session})
		return options, nil
	}
	if len(p.Env) > 0 {
		return options, c.errTooOld("exec with environment variables", "1.25")
	}
	return options, nil
}

// errTooOld returns the error for a feature that needs a newer API version.
func (c *apiClient) errTooOld(what, needed string) error {
	return kindErrorf(backends.ErrUnsupported,
		"%s: not supported by Docker API %s (needs %s; check the setting dockerapi)", what, c.version, needed)
}

// disabledDetachKeys is a sequence that nobody types. Docker cannot turn the detach keys off, accepts only ASCII, and
// delays their first key until the next key. A delayed ctrl-@ is noticed least.
const disabledDetachKeys = "ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^"

const (
	watchInterval        = 500 * time.Millisecond
	idleCheckInterval    = 500 * time.Millisecond // between inspects when output stops; grows to maxIdleCheckInterval
	maxIdleCheckInterval = 2 * time.Second
	inspectTimeout       = 300 * time.Millisecond // a daemon that waits until output is read does not respond
	maxInspectTimeout    = time.Second            // while output arrives; an inspect that times out doubles the next limit

	dropGrace         = 3 * time.Second // after this time, the daemon has dropped unread output
	readAheadInterval = 5 * time.Millisecond

	// streamEndTimeout limits the time without data until a drained stream ends. A daemon closes the stream 2 s after the
	// exit, from Docker 20.10 on even if a child holds it open.
	streamEndTimeout = 10 * time.Second

	exitPollInterval = 50 * time.Millisecond
)

// run starts the exec and returns its exit code or error. The program is terminated if ctx ends or its output cannot be
// written. Goroutines beside the loop resize the terminal, deliver signals and watch for the exit.
func (e *execInstance) run(ctx context.Context) (int, error) {
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()

	if err := e.start(ctx, runCtx); err != nil {
		return 0, explain(ctx, e.ref.Node, err)
	}
	out := e.stream.out
	if e.program.Terminal != nil {
		resize := "/exec/" + e.id + "/resize"
		background.Go(out.guard(func() { e.api.followSize(runCtx, resize, e.program.Terminal) }))
		if e.setup != nil {
			background.Go(out.guard(func() {
				select {
				case <-e.setup.started: // the setup script may have overwritten an earlier size
					e.api.resize(runCtx, resize, e.program.Terminal)
				case <-runCtx.Done():
				}
			}))
		}
	}
	signals, queue := e.program.Signals, make(chan string, 16)
	if signals != nil {
		background.Go(out.guard(func() { e.deliverSignals(runCtx, queue) }))
	}
	background.Go(out.guard(func() { e.watchExit(runCtx) }))
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
			default: // signals arrive faster than they are delivered
			}
		}
	}
}

// watchExit polls for the exit of the program until ctx ends. A child in the background may hold the stream open or
// write to it; after the exit the stream is drained, so that run returns. Docker drops unread output soon after the
// exit, so it is read ahead while the client is slow.
func (e *execInstance) watchExit(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	out, lastInspect, wait, timeout := e.stream.out, time.Now(), idleCheckInterval, inspectTimeout
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if out.idle() < idleCheckInterval {
			wait, timeout = idleCheckInterval, min(timeout, maxInspectTimeout)
		} else if time.Since(lastInspect) < wait {
			continue
		}
		inspectCtx, cancel := context.WithTimeout(ctx, timeout)
		state, err := e.api.inspectExec(inspectCtx, e.id)
		timedOut := inspectCtx.Err() != nil
		cancel()
		exited := err == nil && state.exited()
		if exited {
			out.drain()
		}
		if timedOut || exited {
			until := time.Now().Add(dropGrace)
			for ; time.Now().Before(until) && ctx.Err() == nil; time.Sleep(readAheadInterval) {
				out.readAhead()
			}
		}
		if timeout = min(2*timeout, responseTimeout); !timedOut {
			timeout = inspectTimeout
		}
		lastInspect, wait = time.Now(), min(2*wait, maxIdleCheckInterval)
	}
}

// start opens the stream, which starts the program.
func (e *execInstance) start(ctx, runCtx context.Context) error {
	p := e.program
	stdout := p.Stdout
	if e.setup != nil {
		stdout = e.setup
	}
	out := newOutputReceiver(stdout, p.Stderr, p.Terminal != nil)
	if e.api.supports(1, 41) {
		out.drainIdleTimeout = streamEndTimeout
	}
	out.classify = func() outputKind {
		state, err := e.api.inspectExec(runCtx, e.id)
		switch {
		case err == nil && !state.started():
			return startErrorOutput
		case err == nil && state.maybeNotStarted():
			return uncertainOutput
		}
		return programOutput
	}
	options := dockerclient.StartExecOptions{
		OutputStream: out, ErrorStream: out, Tty: p.Terminal != nil, RawTerminal: true,
	}
	if p.Stdin != nil {
		e.input = &input{
			source: p.Stdin, terminal: p.Terminal != nil, eofKey: ctrlD, streamDone: runCtx.Done(), fail: out.fail,
			refused: func() bool { return !out.conn.accepted() },
		}
		if e.setup != nil { // the terminal would echo earlier input before the mark
			e.input.ready = e.setup.started
			if eof, ok := p.Modes.Char(backends.ModeEOF); ok {
				e.input.eofKey = eof
			}
		}
		options.InputStream = e.input
	}
	// Docker closes a terminal at the end of its input, and loses output.
	keepOpen := p.Terminal != nil || p.Stdin == nil
	var err error
	open := func(client *dockerclient.Client) (dockerclient.CloseWaiter, error) {
		return client.StartExecNonBlocking(e.id, options)
	}
	e.stream, err = e.api.open(ctx, out, keepOpen, e.docker.timeouts.response, open)
	return err
}

// execState is the state of an exec in the daemon's JSON.
type execState struct {
	Running   bool
	ExitCode  *int
	Pid       int  // on the node; Podman: 0 after the exit
	CanRemove bool // Podman: exited or failed to start; means something else in Docker

	podman bool
}

// exited reports whether the program is known to have exited.
func (s execState) exited() bool { return !s.Running && s.started() }

// started reports whether the program was ever running. For Podman it reports whether a start was attempted. If the
// start fails, the daemon writes the reason into the stream.
func (s execState) started() bool { return s.Running || s.Pid != 0 || s.podman && s.CanRemove }

// maybeNotStarted reports whether Podman may have failed to start the program. A program may exit with the same codes,
// so only the output shows whether it was started.
func (s execState) maybeNotStarted() bool {
	return s.podman && !s.Running && s.ExitCode != nil && *s.ExitCode >= 125 && *s.ExitCode <= 127
}

// inspectExec asks the daemon for the state of an exec.
func (c *apiClient) inspectExec(ctx context.Context, id string) (state execState, err error) {
	ctx, cancel := context.WithTimeout(ctx, responseTimeout)
	defer cancel()
	body, err := c.get(ctx, "/exec/"+id+"/json")
	if err == nil {
		err = json.Unmarshal(body, &state)
	}
	state.podman = c.podman
	return state, err
}

// hasExited asks the daemon whether the program is known to have exited.
func (e *execInstance) hasExited(ctx context.Context) bool {
	state, err := e.api.inspectExec(ctx, e.id)
	return err == nil && state.exited()
}

// result returns the exit code or error of the program. Call it when the stream has ended.
func (e *execInstance) result(ctx context.Context) (int, error) {
	out, node := e.stream.out, e.ref.Node
	out.classifyUncertain()
	switch {
	case ctx.Err() != nil:
		return 0, e.terminate(context.Cause(ctx))
	case out.failed() != nil:
		return 0, e.terminate(out.failed())
	case out.conn.status.Load() == 0:
		if state, err := e.api.inspectExec(ctx, e.id); err == nil && state.Running {
			return 0, e.terminate(e.connectionLost()) // started although the stream has no response
		}
		return 0, explain(ctx, node, cmp.Or(out.readErr, io.EOF))
	case !out.conn.accepted():
		err := &dockerclient.Error{Status: int(out.conn.status.Load()), Message: errorMessage(out.errorText)}
		return 0, explain(ctx, node, explainNotRunning(e.ref.Task, err))
	}
	// Docker's streams have no end mark, but they end after the program. If it still runs, the stream was lost.
	complete := out.endedCleanly(e.input)
	state, err := e.api.inspectExec(ctx, e.id)
	running := func() bool { return err != nil || state.Running }
	since := time.Now()
	for complete && running() && ctx.Err() == nil && time.Since(since) < e.docker.timeouts.exit {
		state, err = e.api.inspectExec(ctx, e.id)
		time.Sleep(exitPollInterval)
	}
	if ctx.Err() != nil {
		return 0, e.terminate(context.Cause(ctx))
	}
	switch {
	case running():
		return 0, e.terminate(e.connectionLost())
	case !complete:
		return 0, e.connectionLost()
	}
	if e.setup != nil {
		if err := e.setup.check(e.program.Argv[0], state.started() && !out.isStartError); err != nil {
			return 0, err
		}
	}
	switch {
	case !state.started(), out.isStartError:
		return 0, startError(e.program, string(out.errorText))
	case state.ExitCode == nil:
		return 0, explain(ctx, node, errBadResponse)
	}
	return *state.ExitCode, nil
}

// connectionLost is the error for a stream that broke.
func (e *execInstance) connectionLost() error {
	err := fmt.Errorf("the Docker daemon of node %s cannot be reached: the connection was closed; "+
		"the exit code of %s is unknown",
		displayName(e.ref.Node.Name), displayName(e.program.Argv[0]))
	return &kindError{err, ErrUnreachable}
}

// explainNotRunning translates the error response for a container that was not found, is stopped or is paused.
func explainNotRunning(task string, err error) error {
	var notFound *dockerclient.NoSuchContainer
	var response *dockerclient.Error
	switch {
	case errors.As(err, &response) && isDeclined(response):
		return err
	case errors.As(err, &notFound), hasStatus(err, http.StatusNotFound):
		return kindErrorf(backends.ErrTaskNotRunning,
			"the container of task %s was not found: it was removed or replaced", displayName(task))
	case errors.As(err, &response) && response.Status == http.StatusConflict &&
		strings.Contains(response.Message, "paused"):
		return errPaused(task)
	case hasStatus(err, http.StatusConflict):
		return errNotRunning(task)
	}
	return err
}

func errNotRunning(task string) error {
	return kindErrorf(backends.ErrTaskNotRunning, "the container of task %s is not running", displayName(task))
}

func errPaused(task string) error {
	return userErrorf("the container of task %s is paused", displayName(task))
}
