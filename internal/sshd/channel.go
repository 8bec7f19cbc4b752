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

	"nomadctld/router"
)

// channel is the SSH channel of one session. It answers the channel's requests itself, so that of everything a
// client can send there only one well-formed exec or shell reaches gliderlabs/ssh: the library's own handling
// panics on a malformed pty-req and stops for good when nobody reads its window changes or signals.
type channel struct {
	gossh.NewChannel
	conn         *connection
	server       *gossh.ServerConn
	id           string
	ctx          context.Context // ends with the channel
	cancel       context.CancelCauseFunc
	recoverPanic func(what, who string) // for the goroutine that answers requests
	commandDone  chan struct{}          // closed when the command has ended
	signals      *router.Signals

	mu            sync.Mutex
	sshChannel    gossh.Channel
	input         *clientInput
	stdout        *outputStream // of the command; nil before it begins
	stdoutClosed  bool          // the client takes no more of stdout
	started       bool
	fromSubsystem bool // by the name of a subsystem
	terminal      *router.Terminal
	noColor       bool
	locale        []string // LANG and LC_* of the client, K=V
}

// Accept accepts the channel and returns it with the requests that are left for the library. The channel
// returned is the raw one with its activity noted.
func (c *channel) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	raw, requests, err := c.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	c.sshChannel = raw
	c.input = newClientInput(raw, c.conn.meter.Load())
	left := make(chan *gossh.Request, 1)
	go c.handleRequests(requests, left)
	go c.goInput("input", func() { c.input.run(c.conn.markActive) })
	go c.goInput("input", c.input.discardStderr)
	return activityChannel{raw, c.conn, c.input}, left, nil
}

func (c *channel) goInput(what string, f func()) {
	defer c.recoverPanic(what, c.id)
	f()
}

// handleRequests deals with the channel's requests until the client closes the channel or the connection ends; both
// cancel the session's context.
func (c *channel) handleRequests(requests <-chan *gossh.Request, left chan<- *gossh.Request) {
	defer close(left)
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
			left <- req
		case "subsystem":
			if !c.subsystem(req) {
				req.Reply(false, nil)
				continue
			}
			left <- req
		case "pty-req":
			req.Reply(c.pty(req.Payload), nil)
		case "window-change":
			req.Reply(c.resize(req.Payload), nil)
		case "signal":
			req.Reply(c.signal(req.Payload), nil)
		case "env":
			req.Reply(c.env(req.Payload), nil)
		case "eow@openssh.com":
			c.closeStdout()
		default: // agent and X11 forwarding, break: nothing here uses them
			req.Reply(false, nil)
		}
	}
}

// closeStdout notes that the client takes no more of stdout, as OpenSSH says when its own is closed: ssh gw ... | head. What is
// written after that, or is being written, ends the command, as a closed pipe would. A write that waits for the client to
// make room would wait for ever, so for it the channel is closed.
func (c *channel) closeStdout() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stdoutClosed = true
	if c.stdout == nil || !c.stdout.close() {
		return
	}
	c.cancel(router.ErrOutputClosed)
	c.sshChannel.SendRequest("exit-status", false, gossh.Marshal(struct{ Status uint32 }{uint32(router.ExitCode(router.ErrOutputClosed))}))
	c.sshChannel.Close()
}

// setStdout makes the stream the one that is closed when the client takes no more of stdout.
func (c *channel) setStdout(stdout *outputStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stdout = stdout; c.stdoutClosed {
		stdout.close()
	}
}

// confirmEOF returns what the end of the client's input was: io.EOF if the client is still there, which it is asked, and otherwise
// why it is not.
func (c *channel) confirmEOF() error {
	const inTime = 5 * time.Second // the question fails at once where the channel is gone: one that waits is only not answered
	asked := make(chan error, 1)
	go func() {
		defer c.recoverPanic("end of input", c.id)
		_, err := c.sshChannel.SendRequest("keepalive@openssh.com", true, nil)
		asked <- err
	}()
	select {
	case err := <-asked:
		if err != nil {
			c.cancel(router.ErrClientDisconnected) // before the command hears of it
			return context.Cause(c.ctx)
		}
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	case <-time.After(inTime):
	}
	return io.EOF
}

// startCommand reports whether req may start the session's command: it is well-formed and the first.
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

// subsystem makes a request for a subsystem one for a command, so that the user reads what to do instead: OpenSSH alone
// would say that the request failed.
func (c *channel) subsystem(req *gossh.Request) bool {
	var subsystem struct{ Name string }
	if gossh.Unmarshal(req.Payload, &subsystem) != nil || !subsystemPattern.MatchString(subsystem.Name) || !c.startCommand(req) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fromSubsystem = true
	req.Type, req.Payload = "exec", gossh.Marshal(struct{ Command string }{subsystem.Name})
	return true
}

func (c *channel) hasStarted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.started
}

// maxTerm is how long a TERM may be; the longest names in terminfo have about 40 bytes.
const maxTerm = 128

func (c *channel) pty(payload []byte) bool {
	var pty struct {
		Term                          string
		Width, Height, XPixel, YPixel uint32
		Modes                         string
	}
	if gossh.Unmarshal(payload, &pty) != nil || len(pty.Term) > maxTerm {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.terminal != nil {
		return false
	}
	terminal := router.NewTerminal(pty.Term, clampSize(pty.Width), clampSize(pty.Height))
	if terminal.SetModes(pty.Modes) != nil {
		return false
	}
	c.terminal = terminal
	return true
}

func (c *channel) resize(payload []byte) bool {
	var window struct{ Width, Height, XPixel, YPixel uint32 }
	if gossh.Unmarshal(payload, &window) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terminal == nil {
		return false
	}
	c.terminal.Resize(clampSize(window.Width), clampSize(window.Height))
	return true
}

// clampSize keeps a number of columns or rows within what a terminal can have.
func clampSize(n uint32) int { return int(min(n, 1<<15)) }

// settings returns what the client asked for before its command: its terminal, nil without one, its language, and whether it
// wants no colours.
func (c *channel) settings() (terminal *router.Terminal, locale []string, noColor bool) {
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

// A locale is named by LANG and LC_*, which OpenSSH sends where its configuration says so. glibc takes a path for a locale
// too, which the client has no business to name here.
var (
	localeNamePattern  = regexp.MustCompile(`^(LANG|LC_[A-Z]{1,20})$`)
	localeValuePattern = regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,64}$`)
)

const maxLocaleVars = 16 // variables; there are 13 categories

// env takes NO_COLOR and the locale, and refuses all else: nothing else of a client's environment means anything here.
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
	case c.started || len(c.locale) == maxLocaleVars || !localeNamePattern.MatchString(env.Name) || !localeValuePattern.MatchString(env.Value):
		return false
	default:
		c.locale = slices.DeleteFunc(c.locale, func(v string) bool { return strings.HasPrefix(v, env.Name+"=") })
		c.locale = append(c.locale, env.Name+"="+env.Value)
	}
	return true
}

// knownSignals are those that RFC 4254 names, and those of Linux that OpenSSH has no word for: a program may want them.
var knownSignals = []string{
	"ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2",
	"BUS", "CHLD", "CONT", "IO", "PROF", "PWR", "STOP", "SYS", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "VTALRM", "WINCH", "XCPU", "XFSZ",
}

// signal passes a signal on to the command. A name that is none could be of any length, and would wait in memory.
func (c *channel) signal(payload []byte) bool {
	var signal struct{ Name string }
	return gossh.Unmarshal(payload, &signal) == nil && slices.Contains(knownSignals, signal.Name) && c.signals.Deliver(signal.Name)
}

// activityChannel notes on the connection that data has moved.
type activityChannel struct {
	gossh.Channel
	conn  *connection
	input *clientInput
}

func (n activityChannel) Read(p []byte) (int, error) { return n.input.Read(p) }

func (n activityChannel) Write(p []byte) (int, error) { return n.conn.writeSession(n.Channel, p) }

func (n activityChannel) Stderr() io.ReadWriter { return activityStderr{n.Channel.Stderr(), n.conn} }

type activityStderr struct {
	io.ReadWriter
	conn *connection
}

func (n activityStderr) Write(p []byte) (int, error) { return n.conn.writeSession(n.ReadWriter, p) }
