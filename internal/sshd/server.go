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
	"nomadctld/router"
)

// Server accepts connections. Set the fields before Serve.
type Server struct {
	HostKeys []gossh.Signer
	Users    *acl.Directory
	Handler  router.Handler
	Limits   Limits
	Log      *slog.Logger

	ssh   *ssh.Server
	young chan struct{} // a place for each connection that has not proven a key

	running atomic.Int32 // sessions, those of connections that have ended included

	mu    sync.Mutex
	conns map[*connection]struct{}
}

// Limits bounds what clients can take. Zero values mean the defaults in brackets.
type Limits struct {
	Sessions        int           // at a time on one connection [10]
	Connections     int           // [500]
	Unauthenticated int           // connections still in the handshake [64]
	Handshake       time.Duration // to prove a key [30s]
	Keepalive       time.Duration // between questions whether the client is there [30s]; three unanswered ones end the connection
	Idle            time.Duration // without a byte in either direction; 0: never
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
}

// Serve accepts connections on l until ctx ends. Then it closes the connections on which nothing runs, gives the
// others' commands a grace period to end, and cuts what is left. It returns nil after that, or the error that
// made accepting impossible.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	s.Limits.setDefaults()
	s.young = make(chan struct{}, s.Limits.Unauthenticated)
	s.conns = map[*connection]struct{}{}
	s.ssh = s.newSSH()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if err := s.accept(l); ctx.Err() == nil {
		return err
	}
	const step = 20 * time.Millisecond
	for waited := time.Duration(0); s.closeIdle(waited >= grace) > 0; waited += step {
		time.Sleep(step)
	}
	return nil
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
		if !s.admit(conn) {
			conn.Close()
		}
	}
}

// admit serves the connection in the background, unless there are too many.
func (s *Server) admit(conn net.Conn) bool {
	remote := conn.RemoteAddr().String()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.Limits.Connections {
		s.Log.Warn("connection refused: too many", "remote", remote, "limit", s.Limits.Connections)
		return false
	}
	select {
	case s.young <- struct{}{}:
	default:
		s.Log.Warn("connection refused: too many that have not proven a key", "remote", remote, "limit", s.Limits.Unauthenticated)
		return false
	}
	c := newConnection(conn, s.Limits, func() { <-s.young })
	s.conns[c] = struct{}{}
	go s.serve(c)
	return true
}

func (s *Server) serve(c *connection) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	}()
	defer c.grownUp()
	defer s.recovered("connection", c.RemoteAddr().String())
	s.ssh.HandleConn(c)
}

func (s *Server) newSSH() *ssh.Server {
	srv := &ssh.Server{
		Version: "nomadctld",
		Handler: s.handle,
		// With no handler of its own the library would let everybody in. What this one sees is only an offer:
		// the proof comes with the callback in serverConfig.
		PublicKeyHandler:     s.offered,
		ServerConfigCallback: s.serverConfig,
		ConnCallback:         remember,
		ConnectionFailedCallback: func(conn net.Conn, err error) {
			s.Log.Info("login failed", "remote", conn.RemoteAddr().String(), "error", err)
		},
		ChannelHandlers: map[string]ssh.ChannelHandler{"session": s.session},
		RequestHandlers: map[string]ssh.RequestHandler{}, // each is answered with a refusal, keepalives too, as OpenSSH does
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
