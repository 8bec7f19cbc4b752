// Package sshd speaks SSH: it proves who a client is and turns each session into one router.Request. Nothing
// else imports gliderlabs/ssh, whose sharp edges end here.
package sshd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/internal/audit"
	"nomadctld/router"
)

// Server accepts connections. Set the fields before Serve.
type Server struct {
	HostKeys []gossh.Signer
	Users    *acl.Directory
	Handler  router.Handler
	Limits   Limits
	Log      *slog.Logger
	Record   func(audit.Event) // logins, refused logins and disconnects; nil: they are not recorded

	ssh  *ssh.Server
	life context.Context // ends when commands have to

	running atomic.Int32 // sessions, those of connections that have ended included

	mu    sync.Mutex
	conns map[*connection]struct{}
	picky map[string]time.Time // addresses whose client knew none of the ciphers it was offered
}

// Limits bounds what clients can take. Zero values mean the defaults in brackets.
type Limits struct {
	Sessions        int           // at a time on one connection [10]
	Connections     int           // [500]
	Unauthenticated int           // connections still in the handshake; a quarter of it from one address [64]
	Handshake       time.Duration // to prove a key [30s]
	Keepalive       time.Duration // between questions whether the client is there [30s]; three unanswered ones end the connection
	Idle            time.Duration // without a byte in either direction; 0: never
	Ending          time.Duration // for commands that were cut when the server stops; a program that is ended gets 10 s [12s]
}

func (l *Limits) setDefaults() {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	set(&l.Sessions, 10)
	set(&l.Connections, 500)
	set(&l.Unauthenticated, 64)
	if l.Handshake == 0 {
		l.Handshake = 30 * time.Second
	}
	if l.Keepalive == 0 {
		l.Keepalive = 30 * time.Second
	}
	if l.Ending == 0 {
		l.Ending = 12 * time.Second
	}
}

// Serve accepts connections on l until ctx ends. Then it closes the connections on which nothing runs, gives the
// others' commands a grace period to end, ends them with router.ErrStopping, and at last cuts what is left. It returns nil
// after that, or the error that made accepting impossible. A command that does not end although it was cut is left behind,
// and logged.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	s.Limits.setDefaults()
	s.conns = map[*connection]struct{}{}
	s.ssh = s.newSSH()
	var end context.CancelCauseFunc
	s.life, end = context.WithCancelCause(context.Background())
	defer end(nil)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if err := s.accept(l); ctx.Err() == nil {
		return err
	}
	const (
		step = 20 * time.Millisecond
		last = time.Second // for commands whose connection was cut
	)
	for waited := time.Duration(0); ; waited += step {
		if waited >= grace {
			end(router.ErrStopping)
		}
		left := s.closeIdle(waited >= grace+s.Limits.Ending)
		if left == 0 {
			return nil
		}
		if waited >= grace+s.Limits.Ending+last {
			s.Log.Error("stopped with sessions that do not end", "left", left)
			return nil
		}
		time.Sleep(step)
	}
}

// closeIdle closes the connections without a session, or all of them, and returns how many connections and
// sessions are left.
func (s *Server) closeIdle(all bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if all || c.sessions.Load() == 0 {
			c.Close()
		}
	}
	return len(s.conns) + int(s.running.Load())
}

func (s *Server) accept(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			s.Log.Error("accept", "error", err) // out of file descriptors, most likely: those who are in go on
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if why := s.admit(conn); why != "" {
			s.Log.Warn("connection refused", "why", why, "remote", conn.RemoteAddr().String())
			conn.Close()
		}
	}
}

// admit serves the connection in the background, or returns why not.
func (s *Server) admit(conn net.Conn) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.Limits.Connections {
		return "too many connections"
	}
	unproven, near := 0, 0
	for c := range s.conns {
		if !c.proven.Load() {
			unproven++
			if address(c) == address(conn) {
				near++
			}
		}
	}
	if unproven >= s.Limits.Unauthenticated || near >= (s.Limits.Unauthenticated+3)/4 {
		return "too many that have not proven a key"
	}
	c := newConnection(conn, s.Limits)
	s.conns[c] = struct{}{}
	go s.serve(c)
	return ""
}

// address returns where a connection comes from, without the port.
func address(conn net.Conn) string {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	return host
}

func (s *Server) serve(c *connection) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	}()
	defer c.Close()
	defer s.recovered("connection", c.RemoteAddr().String())
	s.ssh.HandleConn(c)
	if tried := c.attempts(); !c.proven.Load() && len(tried) > 0 { // who tries no key looks whether anybody is there
		s.Log.Info("login failed", "remote", c.RemoteAddr().String(), "tried", tried)
	}
}

func (s *Server) newSSH() *ssh.Server {
	srv := &ssh.Server{
		// Only to servers of this name OpenSSH says that its output is closed: see channel.deafen.
		Version: "OpenSSH_nomadctld",
		Handler: s.handle,
		// With no handler of its own the library would let everybody in. What this one sees is only an offer:
		// the proof comes with the callback in serverConfig.
		PublicKeyHandler:     s.offered,
		ServerConfigCallback: s.serverConfig,
		ConnCallback:         remember,

		ConnectionFailedCallback: s.failed,
		ChannelHandlers:          s.channels(),
		RequestHandlers:          map[string]ssh.RequestHandler{}, // each is answered with a refusal, keepalives too, as OpenSSH does
	}
	for _, key := range s.HostKeys {
		srv.AddHostKey(key)
	}
	return srv
}

// recovered keeps a panic inside the goroutine that it is deferred in.
func (s *Server) recovered(what, who string) {
	if p := recover(); p != nil {
		s.Log.Error("panic", "in", what, "of", who, "panic", p)
	}
}
