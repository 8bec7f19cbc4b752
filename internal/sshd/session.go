package sshd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/escape"
	"nomadctld/router"
)

// session serves one session channel and returns when its command has ended.
func (s *Server) session(ctx context.Context, c *connection, conn *gossh.ServerConn, newChannel gossh.NewChannel) {
	s.unfinished.Add(1)
	defer s.unfinished.Add(-1)
	defer c.sessions.Add(-1)
	if open := int(c.sessions.Add(1)); open > s.Limits.Sessions {
		// Refusing waits for a client that does not read, and requests are taken on meanwhile.
		if open > 2*s.Limits.Sessions+10 {
			c.Close()
		}
		newChannel.Reject(gossh.ResourceShortage, "too many sessions on one connection")
		return
	}
	ch := &channel{
		NewChannel: newChannel, conn: c, server: conn, id: c.nextSessionID(),
		recoverPanic: s.recoverPanic, commandDone: make(chan struct{}),
	}
	// Not the connection's context: that ends without a cause, and the channel's requests end with the connection.
	ch.ctx, ch.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	defer ch.cancel(nil)
	defer context.AfterFunc(s.commandCtx, func() { ch.cancel(context.Cause(s.commandCtx)) })()
	ch.signals = router.NewSignals(ch.cancel)
	c.addChannel(ch)
	defer c.removeChannel(ch)
	ssh.DefaultSessionHandler(s.ssh, conn, ch, &sessionContext{Context: ctx, conn: conn, channel: ch})
	if ch.hasStarted() {
		<-ch.commandDone
	}
	if ch.input != nil { // a client may send input and never start a command
		ch.input.discard()
	}
}

// handle runs the command of a session, prints what went wrong and sends the exit code.
func (s *Server) handle(sess ssh.Session) {
	ch := sess.Context().(*sessionContext).channel
	defer close(ch.commandDone)
	defer ch.input.discard()
	finished := false
	defer func() {
		if !finished { // after a panic the library would report success
			sess.Exit(1)
		}
	}()
	defer s.recoverPanic("session", ch.id)
	terminal, locale, noColor := ch.settings()
	stdout, stderr := &outputStream{w: sess, cancel: ch.cancel}, &outputStream{w: sess.Stderr(), cancel: ch.cancel}
	ch.setStdout(stdout)
	text := textWriter{stderr, terminal != nil}
	err := s.runCommand(ch, &router.Request{
		Connection: ch.conn.id, Session: ch.id, Remote: sess.RemoteAddr().String(),
		Line: sess.RawCommand(), Subsystem: ch.isSubsystem(),
		Stdin: sessionInput{sess, sync.OnceValue(ch.confirmEOF)}, Stdout: textWriter{stdout, terminal != nil}, Stderr: text, Bytes: router.Bytes{Stdout: stdout, Stderr: stderr},
		Terminal: terminal, Locale: locale, Signals: ch.signals, NoColor: noColor,
	})
	if !router.IsQuiet(err) {
		for _, line := range router.ErrorLines(err) {
			io.WriteString(text, "nomadctld: "+escape.Text(line)+"\n")
		}
	}
	finished = true
	sess.Exit(router.ExitCode(err))
}

// runCommand puts the proven identity on the request and hands it on. Were a panic to leave it, the library would
// report success.
func (s *Server) runCommand(ch *channel, req *router.Request) (err error) {
	err = errors.New("internal error")
	defer s.recoverPanic("session", ch.id)
	login, key, unproven := provenIdentity(ch.server)
	if unproven != nil {
		return unproven
	}
	req.Login, req.Key, req.Fingerprint = login, key, fingerprint(key)
	leave, refused := s.acquireSession(ch.conn, login)
	defer leave()
	req.LimitErr = refused
	return s.Handler(ch.ctx, req)
}

// sessionInput is what the client sends. To the library its end looks the same whether the client has said so or the connection
// broke in the middle, and half an upload must not pass for a whole one. Where it broke, Read returns why.
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

// outputStream is one output stream of a session. Two goroutines that write an SSH channel at the same time corrupt it, so
// each stream has its lock.
type outputStream struct {
	mu sync.Mutex
	w  io.Writer

	closed  atomic.Bool
	writing atomic.Bool
	cancel  context.CancelCauseFunc // called before a write that failed returns: by then the session's context has ended
}

func (s *outputStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing.Store(true) // before closed is looked at: close does it the other way round
	defer s.writing.Store(false)
	if s.closed.Load() {
		s.cancel(router.ErrOutputClosed)
		return 0, router.ErrOutputClosed
	}
	n, err := s.w.Write(p)
	if err != nil {
		if err = router.ErrClientDisconnected; s.closed.Load() {
			err = router.ErrOutputClosed
		}
		s.cancel(err)
	}
	return n, err
}

// close lets nothing more through, and reports whether something is being written.
func (s *outputStream) close() (writing bool) {
	s.closed.Store(true)
	return s.writing.Load()
}

// textWriter writes text to a stream.
type textWriter struct {
	*outputStream
	crlf bool // the client's terminal is in raw mode: a newline alone would not go back to the first column
}

func (t textWriter) Write(p []byte) (int, error) {
	if !t.crlf {
		return t.outputStream.Write(p)
	}
	if _, err := t.outputStream.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
