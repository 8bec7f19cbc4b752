// Package sshd speaks SSH: it proves who a client is and turns each session into one router.Request. Nothing
// else imports gliderlabs/ssh, whose sharp edges end here.
package sshd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
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

	running   atomic.Int32 // sessions and connections whose end is not recorded yet
	admission *admission
	refusals  refusals
	backlog   *backlog

	mu       sync.Mutex
	conns    map[*connection]struct{}
	accounts map[string]*account // by login; guarded by mu
}

// Limits bounds what clients can take. Zero values mean the defaults in brackets.
type Limits struct {
	Sessions        int           // at a time on one connection [10]
	Connections     int           // of clients that have logged in [500]
	Unauthenticated int           // connections whose client has not proven a key, a quarter of it from one network; see admission [100]
	AllSessions     int           // commands that run, of all users [1000]
	User            UserLimits    // of one user
	Greeting        time.Duration // for the client's version line and its first packets [5s]
	Handshake       time.Duration // to prove a key, these included [30s]
	FirstCommand    time.Duration // from the login to the first command [2m]
	Keepalive       time.Duration // between questions whether the client is there [30s]; three unanswered ones end the connection
	Idle            time.Duration // without a byte in either direction, and without a command that needs none; 0: never
	Ending          time.Duration // for commands that were cut when the server stops; a program that is ended gets 10 s [12s]
}

// UserLimits bounds what one user can take, over all of the user's connections.
type UserLimits struct {
	Connections int // [20]
	Sessions    int // commands that run [40]
}

func (l *Limits) setDefaults() {
	set(&l.Sessions, 10)
	set(&l.Connections, 500)
	set(&l.Unauthenticated, 100)
	set(&l.AllSessions, 1000)
	set(&l.User.Connections, 20)
	set(&l.User.Sessions, 40)
	set(&l.Greeting, 5*time.Second)
	set(&l.Handshake, 30*time.Second)
	set(&l.FirstCommand, 2*time.Minute)
	set(&l.Keepalive, 30*time.Second)
	set(&l.Ending, 12*time.Second)
}

func set[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Serve accepts connections on l until ctx ends. Then it closes the connections on which nothing runs, gives the
// others' commands a grace period to end, ends them with router.ErrGatewayStopping, and at last cuts what is left. It returns nil
// after that, or the error that made accepting impossible. A command that does not end although it was cut is left behind,
// and logged.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	s.Limits.setDefaults()
	s.conns, s.accounts = map[*connection]struct{}{}, map[string]*account{}
	s.backlog = newBacklog()
	s.admission = newAdmission(s.Limits.Unauthenticated)
	s.refusals = newRefusals(s)
	defer s.refusals.flush()
	s.ssh = &ssh.Server{Handler: s.handle} // for the sessions alone
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
			end(router.ErrGatewayStopping)
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
		s.admit(conn)
	}
}

// admit serves the connection in the background, unless there are too many already.
func (s *Server) admit(conn net.Conn) {
	c := newConnection(conn, s.Limits)
	c.backlog = s.backlog
	s.mu.Lock()
	full := s.loggedIn() >= s.Limits.Connections
	if !full {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if full {
		s.refusals.crowded(c)
		c.Close()
		return
	}
	login := s.admission.arrive(c.network, func() {
		if !c.proven.Load() {
			s.refusals.displaced(c)
		}
	})
	c.exchange = func() {
		s.admission.advance(login)
		c.exchanging()
	}
	go s.serve(c, login)
}

// serve serves a connection until it ends.
func (s *Server) serve(c *connection, login *pendingLogin) {
	defer s.recovered("connection", c.RemoteAddr().String())
	s.running.Add(1) // until the disconnect is recorded
	disconnected := func() {}
	defer func() { // last: an audit log that hangs must not keep the user's slot
		defer s.running.Add(-1)
		disconnected()
	}()
	defer s.left(c)
	defer c.Close()
	conn, channels, requests, err := s.handshake(c, login)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	disconnected = s.recordLogin(c, conn)
	s.background("keepalive", c, func() { s.keepAlive(ctx, c, conn) })
	s.background("requests", c, func() { gossh.DiscardRequests(requests) }) // keepalives are refused too, as by OpenSSH
	for channel := range channels {
		switch kind := channel.ChannelType(); {
		case kind == "session":
			s.background("session", c, func() { s.session(ctx, c, conn, channel) })
		case slices.Contains(forwards, kind):
			channel.Reject(gossh.Prohibited, noForwards)
		default:
			channel.Reject(gossh.UnknownChannelType, "unsupported channel type")
		}
	}
}

// handshake returns the connection once its client has proven a key.
func (s *Server) handshake(c *connection, login *pendingLogin) (*gossh.ServerConn, <-chan gossh.NewChannel, <-chan *gossh.Request, error) {
	defer func() {
		s.admission.leave(login, c.proven.Load())
	}()
	client, init, err := c.greet()
	if err != nil {
		return nil, nil, nil, err
	}
	conn, channels, requests, err := gossh.NewServerConn(c, s.serverConfig(c, offer(gossh.SupportedAlgorithms().Ciphers, client, init)))
	if err != nil {
		s.refusals.failed(c, err)
		return nil, nil, nil, err
	}
	return conn, channels, requests, nil
}

// background runs f in a goroutine that no panic leaves.
func (s *Server) background(what string, c *connection, f func()) {
	go func() {
		defer s.recovered(what, c.RemoteAddr().String())
		f()
	}()
}

// recovered keeps a panic inside the goroutine that it is deferred in.
func (s *Server) recovered(what, who string) {
	if p := recover(); p != nil {
		s.Log.Error("panic", "in", what, "of", who, "panic", p)
	}
}
