package sshd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/console"
	"nomadctld/router"
)

// session serves one session channel and returns when its command has finished.
func (s *Server) session(ctx context.Context, c *connection, conn *gossh.ServerConn, newChannel gossh.NewChannel) {
	s.unfinished.Add(1)
	defer s.unfinished.Add(-1)
	defer c.sessions.Add(-1)
	if open := int(c.sessions.Add(1)); open > c.limits.Sessions {
		// Reject blocks if the client does not read, while more requests are accepted. So close the connection if many
		// are blocked.
		if open > 2*c.limits.Sessions+10 {
			c.Close()
		}
		newChannel.Reject(gossh.ResourceShortage,
			"too many sessions on one connection (limits.sessions): close one, or connect again")
		return
	}
	ch := &channel{
		NewChannel: newChannel, conn: c, sshConn: conn, id: c.nextSessionID(),
		recoverPanic: s.recoverPanic, commandDone: make(chan struct{}),
	}
	if login, err := s.currentLogin(conn); err == nil { // otherwise the command is refused
		ch.noTerminal = login.NoTerminal
	}
	// Do not inherit the connection's context: it is canceled without a cause, and the channel has its own.
	ch.ctx, ch.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	defer ch.cancel(nil)
	defer context.AfterFunc(s.commandCtx, func() { ch.cancel(context.Cause(s.commandCtx)) })()
	ch.signals = console.NewSignals(ch.cancel)
	c.addChannel(ch)
	defer c.removeChannel(ch)
	ssh.DefaultSessionHandler(s.ssh, conn, ch, &sessionContext{Context: ctx, conn: conn, channel: ch})
	if ch.hasStarted() {
		<-ch.commandDone
	}
	if ch.input != nil { // the client may send input without starting a command
		ch.input.discard()
	}
}

// handle runs the command of a session, prints its error and sends the exit code.
func (s *Server) handle(sess ssh.Session) {
	ch := sess.Context().(*sessionContext).channel
	defer close(ch.commandDone)
	defer ch.input.discard()
	exited := false
	defer func() {
		if !exited { // after a panic the library would report success
			sess.Exit(1)
		}
	}()
	defer s.recoverPanic("session", ch.id)
	terminal, locale, noColor := ch.clientSettings()
	notices := func(w io.Writer) noActivityWriter { return noActivityWriter{w, ch.conn} }
	stdout := &outputStream{w: sess, notices: notices(ch.sshChannel), cancel: ch.cancel}
	stderr := &outputStream{w: sess.Stderr(), notices: notices(ch.sshChannel.Stderr()), cancel: ch.cancel}
	ch.setStdout(stdout)
	client := &console.Console{
		Stdin:  sessionInput{sess, sync.OnceValue(ch.confirmEOF)},
		Stdout: textWriter{stdout, terminal != nil}, Stderr: textWriter{stderr, terminal != nil},
		ByteOutput: console.ByteOutput{Stdout: stdout, Stderr: stderr},
		Terminal:   terminal, Signals: ch.signals, NoColor: noColor,
	}
	if terminal != nil { // as console.StatusWriter
		ch.setNoticeStream(textWriter{stdout, true})
	} else {
		ch.setNoticeStream(textWriter{stderr, false})
	}
	if text := ch.conn.lifetimeNotice(); text != "" {
		ch.printInBackground(text)
	}
	if kind, _ := s.notice(); kind == stopNotice { // a draining server refuses the command
		s.printNotice(ch)
	}
	err := s.runCommand(ch, &router.Request{
		Console: client,
		Session: router.Session{
			Connection: ch.conn.id, ID: ch.id, Remote: sess.RemoteAddr().String(),
			Line: sess.RawCommand(), Subsystem: ch.isSubsystem(), Locale: locale,
		},
	})
	ch.dropNoticeStream()
	if !router.IsQuiet(err) {
		for _, line := range router.ErrorLines(err) {
			fmt.Fprintln(client.Stderr, client.Message("nomadctld: "+line))
		}
	}
	exited = true
	sess.Exit(router.ExitCode(err))
}

// runCommand adds the proven identity to the request and calls the handler. It recovers panics, because the library
// would report success.
func (s *Server) runCommand(ch *channel, req *router.Request) (err error) {
	err = errors.New("internal error")
	defer s.recoverPanic("session", ch.id)
	login, key, unproven := provenIdentity(ch.sshConn)
	if unproven != nil {
		return unproven
	}
	req.Session.Login, req.Session.Key = login, key
	req.Session.Fingerprint, req.Session.Certificate = describeKey(key)
	leave, refused := s.acquireSession(ch.conn)
	defer leave()
	req.Session.Refusal = refused
	return s.current().Handler(ch.ctx, req)
}

// sessionInput is the input of a session. The library returns io.EOF both for EOF from the client and for a lost
// connection, and a partial upload must not look complete. If the connection was lost, Read returns the cause.
type sessionInput struct {
	io.Reader
	confirmEOF func() error
}

func (in sessionInput) Read(p []byte) (int, error) {
	n, err := in.Reader.Read(p)
	if err == io.EOF {
		err = in.confirmEOF()
	}
	return n, err
}

// outputStream is one output stream of a session. Concurrent writes corrupt an SSH channel, so each stream has a lock.
type outputStream struct {
	mu      sync.Mutex // held while writing
	w       io.Writer
	notices io.Writer // the same stream; what is written is not activity of the user
	midLine bool      // the last byte was not a newline; guarded by mu

	notice  atomic.Pointer[notice] // to be written between two writes; nil: none
	closed  atomic.Bool
	writing atomic.Bool
	cancel  context.CancelCauseFunc // called before a failed Write returns, so that the context is already canceled
}

func (s *outputStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	n, err := s.write(p)
	s.mu.Unlock()
	s.flushNotice()
	return n, err
}

// write implements Write. The caller holds s.mu.
func (s *outputStream) write(p []byte) (int, error) { return s.writeTo(s.w, p) }

// writeTo writes to w or notices. The caller holds s.mu.
func (s *outputStream) writeTo(w io.Writer, p []byte) (int, error) {
	// Set writing before reading closed. close sets closed before it reads writing, so at least one sees the other.
	s.writing.Store(true)
	defer s.writing.Store(false)
	if s.closed.Load() {
		s.cancel(router.ErrOutputClosed)
		return 0, router.ErrOutputClosed
	}
	n, err := w.Write(p)
	if n > 0 {
		s.midLine = p[n-1] != '\n'
	}
	if err != nil {
		if err = router.ErrClientDisconnected; s.closed.Load() {
			err = router.ErrOutputClosed
		}
		s.cancel(err)
	}
	return n, err
}

// close makes further writes fail and reports whether a write is in progress.
func (s *outputStream) close() (writing bool) {
	s.closed.Store(true)
	return s.writing.Load()
}

// textWriter writes text to a stream.
type textWriter struct {
	*outputStream
	crlf bool // the client's terminal is in raw mode and needs CR LF
}

func (t textWriter) Write(p []byte) (int, error) {
	if _, err := t.outputStream.Write(t.encode(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// encode returns the bytes for a text.
func (t textWriter) encode(text []byte) []byte {
	if !t.crlf {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}
