package sshd

import (
	"context"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/console"
	"nomadctld/internal/signals"
	"nomadctld/router"
)

// channel is the SSH channel of one session. It handles the requests itself and passes only one valid exec or shell
// request to gliderlabs/ssh. The library panics on a malformed pty-req, and blocks forever if window changes or signals
// are not read.
type channel struct {
	gossh.NewChannel
	conn         *connection
	sshConn      *gossh.ServerConn
	id           string
	ctx          context.Context // done when the channel closes
	cancel       context.CancelCauseFunc
	recoverPanic func(what, who string) // for the goroutines of the channel
	commandDone  chan struct{}          // closed when the command has finished
	signals      *console.Signals
	noTerminal   string // why the login may not have a terminal; "": it may

	refusedTerminal bool          // noTerminal was printed; only for the goroutine of handleRequests
	sshChannel      gossh.Channel // set by Accept
	input           *clientInput  // set by Accept

	mu            sync.Mutex    // guards the fields below
	stdout        *outputStream // nil before the command starts
	noticeStream  *textWriter   // nil: no command is running
	lastNotice    noticeKind    // that was printed
	stdoutClosed  bool          // the client reads no more of stdout
	started       bool
	fromSubsystem bool // the command is the name of a subsystem
	terminal      *console.Terminal
	noColor       bool
	locale        []string // LANG and LC_* of the client, K=V
}

// Accept accepts the channel. It returns the channel, which reports activity to the connection, and the requests for
// the library.
func (c *channel) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	sshChannel, requests, err := c.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	c.sshChannel = sshChannel
	c.input = newClientInput(sshChannel, c.conn.meter.Load())
	libraryRequests := make(chan *gossh.Request, 1)
	go c.handleRequests(requests, libraryRequests)
	go c.runRecovered("input", func() { c.input.run(c.conn.markActive) })
	go c.runRecovered("input", c.input.discardStderr)
	return activityChannel{sshChannel, c.conn, c.input}, libraryRequests, nil
}

// runRecovered runs f and recovers panics.
func (c *channel) runRecovered(what string, f func()) {
	defer c.recoverPanic(what, c.id)
	f()
}

// handleRequests handles the channel's requests until the channel or the connection is closed. Then it cancels the
// session's context.
func (c *channel) handleRequests(requests <-chan *gossh.Request, libraryRequests chan<- *gossh.Request) {
	defer close(libraryRequests)
	defer c.input.channelClosed()
	defer c.cancel(router.ErrClientDisconnected)
	defer c.recoverPanic("requests", c.id)
	for req := range requests {
		switch req.Type {
		case "exec", "shell":
			if !c.startCommand(req) {
				req.Reply(false, nil)
				continue
			}
			libraryRequests <- req
		case "subsystem":
			if !c.subsystem(req) {
				req.Reply(false, nil)
				continue
			}
			libraryRequests <- req
		case "pty-req":
			if c.noTerminal != "" {
				c.refuseTerminal()
				req.Reply(false, nil)
				continue
			}
			req.Reply(c.pty(req.Payload), nil)
		case "window-change":
			req.Reply(c.resize(req.Payload), nil)
		case "signal":
			req.Reply(c.signal(req.Payload), nil)
		case "env":
			req.Reply(c.env(req.Payload), nil)
		case "eow@openssh.com":
			c.closeStdout()
		default: // agent forwarding, X11 forwarding and break are not supported
			req.Reply(false, nil)
		}
	}
}

// closeStdout handles the request with which OpenSSH reports that its stdout is closed: ssh gw ... | head. The current
// or next write to stdout cancels the command, as for a closed pipe. A write that waits for window space would wait
// forever, so in that case the channel is closed.
func (c *channel) closeStdout() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stdoutClosed = true
	if c.stdout == nil || !c.stdout.close() {
		return
	}
	c.cancel(router.ErrOutputClosed)
	status := struct{ Status uint32 }{uint32(router.ExitCode(router.ErrOutputClosed))}
	c.sshChannel.SendRequest("exit-status", false, gossh.Marshal(status))
	c.sshChannel.Close()
}

// setStdout sets the stream that closeStdout closes.
func (c *channel) setStdout(stdout *outputStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stdout = stdout; c.stdoutClosed {
		stdout.close()
	}
}

// confirmEOF distinguishes EOF from a lost client. It returns io.EOF if the client is still connected, otherwise the
// cause of the disconnect.
func (c *channel) confirmEOF() error {
	if err := c.waitForClient(); err != nil {
		return err
	}
	return io.EOF
}

// waitForClient sends a keepalive and waits until the client responds, so that it has processed what was sent before.
// It returns the cause of the disconnect if the client is not connected any more.
func (c *channel) waitForClient() error {
	// A request on a closed channel fails at once. A client that does not respond in time is treated as connected.
	const timeout = 5 * time.Second
	result := make(chan error, 1)
	go func() {
		defer c.recoverPanic("keepalive", c.id)
		_, err := c.sshChannel.SendRequest("keepalive@openssh.com", true, nil)
		result <- err
	}()
	select {
	case err := <-result:
		if err != nil {
			c.cancel(router.ErrClientDisconnected) // before the command sees the error
			return context.Cause(c.ctx)
		}
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	case <-time.After(timeout):
	}
	return nil
}

// startCommand reports whether req may start the session's command: it must be valid and the first.
func (c *channel) startCommand(req *gossh.Request) bool {
	var exec struct{ Command string }
	if req.Type == "exec" && gossh.Unmarshal(req.Payload, &exec) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		return false
	}
	c.started = true
	c.conn.markCommandStarted()
	return true
}

var subsystemPattern = regexp.MustCompile(`^[A-Za-z0-9@._-]{1,64}$`)

// subsystem turns a subsystem request into an exec request, so that the user reads an explanation. Otherwise OpenSSH
// only prints that the request failed.
func (c *channel) subsystem(req *gossh.Request) bool {
	var subsystem struct{ Name string }
	if gossh.Unmarshal(req.Payload, &subsystem) != nil || !subsystemPattern.MatchString(subsystem.Name) ||
		!c.startCommand(req) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fromSubsystem = true
	req.Type, req.Payload = "exec", gossh.Marshal(struct{ Command string }{subsystem.Name})
	return true
}

// hasStarted reports whether a command was started.
func (c *channel) hasStarted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.started
}

// clientSettings returns the client's terminal (nil: none), its locale, and whether it has set NO_COLOR.
func (c *channel) clientSettings() (terminal *console.Terminal, locale []string, noColor bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.terminal, c.locale, c.noColor
}

// isSubsystem reports whether the session's command is the name of a subsystem.
func (c *channel) isSubsystem() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fromSubsystem
}

// OpenSSH sends LANG and LC_* if configured. glibc accepts a path as a locale, so the value must not be a path.
var (
	localeNamePattern  = regexp.MustCompile(`^(LANG|LC_[A-Z]{1,20})$`)
	localeValuePattern = regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,64}$`)
)

const maxLocaleVars = 16 // there are 13 categories

// env accepts NO_COLOR and the locale, and rejects all other variables.
func (c *channel) env(payload []byte) bool {
	var env struct{ Name, Value string }
	if gossh.Unmarshal(payload, &env) != nil || env.Value == "" {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case env.Name == "NO_COLOR":
		c.noColor = true
	case c.started || len(c.locale) == maxLocaleVars ||
		!localeNamePattern.MatchString(env.Name) || !localeValuePattern.MatchString(env.Value):
		return false
	default:
		c.locale = slices.DeleteFunc(c.locale, func(v string) bool { return strings.HasPrefix(v, env.Name+"=") })
		c.locale = append(c.locale, env.Name+"="+env.Value)
	}
	return true
}

// signal passes a signal to the command. It rejects unknown names, which could be long and would stay in memory.
func (c *channel) signal(payload []byte) bool {
	var signal struct{ Name string }
	return gossh.Unmarshal(payload, &signal) == nil && signals.FromClient(signal.Name) &&
		c.signals.Deliver(signal.Name)
}

// activityChannel reports reads and writes to the connection, for its idle timeout.
type activityChannel struct {
	gossh.Channel
	conn  *connection
	input *clientInput
}

func (a activityChannel) Read(p []byte) (int, error) { return a.input.Read(p) }

func (a activityChannel) Write(p []byte) (int, error) { return a.conn.writeSession(a.Channel, p) }

func (a activityChannel) Stderr() io.ReadWriter { return activityStderr{a.Channel.Stderr(), a.conn} }

// noActivityWriter writes to a stream of a channel, and does not report that as activity.
type noActivityWriter struct {
	io.Writer
	conn *connection
}

func (q noActivityWriter) Write(p []byte) (int, error) {
	return q.conn.writeWithoutActivity(q.Writer, p)
}

// activityStderr is the stderr stream of an activityChannel.
type activityStderr struct {
	io.ReadWriter
	conn *connection
}

func (a activityStderr) Write(p []byte) (int, error) { return a.conn.writeSession(a.ReadWriter, p) }
