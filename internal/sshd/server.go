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

	ssh        *ssh.Server
	commandCtx context.Context // ends when commands have to

	unfinished atomic.Int32 // sessions and connections whose end is not recorded yet
	admission  *admission
	loginLog   loginLog
	backlog    *inputBacklog

	mu    sync.Mutex
	conns map[*connection]struct{}
	usage map[string]*userUsage // by login; guarded by mu
}

// Limits bounds what clients can take. Zero values mean the defaults in brackets.
type Limits struct {
	Sessions            int           // at a time on one connection [10]
	Connections         int           // of clients that have logged in [500]
	Unauthenticated     int           // connections whose client has not proven a key, a quarter of it from one network; see admission [100]
	AllSessions         int           // commands that run, of all users [1000]
	User                UserLimits    // of one user
	GreetingTimeout     time.Duration // for the client's version line and its first packets [5s]
	HandshakeTimeout    time.Duration // to prove a key, these included [30s]
	FirstCommandTimeout time.Duration // from the login to the first command [2m]
	KeepaliveInterval   time.Duration // between questions whether the client is there [30s]; three unanswered ones end the connection
	IdleTimeout         time.Duration // without a byte in either direction, and without a command that needs none; 0: never
	StopGrace           time.Duration // for commands that were cut when the server stops; a program that is ended gets 10 s [12s]
}

// UserLimits bounds what one user can take, over all of the user's connections.
type UserLimits struct {
	Connections int // [20]
	Sessions    int // commands that run [40]
}

func (l *Limits) setDefaults() {
	setDefault(&l.Sessions, 10)
	setDefault(&l.Connections, 500)
	setDefault(&l.Unauthenticated, 100)
	setDefault(&l.AllSessions, 1000)
	setDefault(&l.User.Connections, 20)
	setDefault(&l.User.Sessions, 40)
	setDefault(&l.GreetingTimeout, 5*time.Second)
	setDefault(&l.HandshakeTimeout, 30*time.Second)
	setDefault(&l.FirstCommandTimeout, 2*time.Minute)
	setDefault(&l.KeepaliveInterval, 30*time.Second)
	setDefault(&l.StopGrace, 12*time.Second)
}

func setDefault[T comparable](v *T, value T) {
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
	s.conns, s.usage = map[*connection]struct{}{}, map[string]*userUsage{}
	s.backlog = newInputBacklog()
	s.admission = newAdmission(s.Limits.Unauthenticated)
	s.loginLog = newLoginLog(s)
	defer s.loginLog.flush()
	s.ssh = &ssh.Server{Handler: s.handle} // for the sessions alone
	var end context.CancelCauseFunc
	s.commandCtx, end = context.WithCancelCause(context.Background())
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
		left := s.closeIdle(waited >= grace+s.Limits.StopGrace)
		if left == 0 {
			return nil
		}
		if waited >= grace+s.Limits.StopGrace+last {
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
	return len(s.conns) + int(s.unfinished.Load())
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
	full := s.loginCount() >= s.Limits.Connections
	if !full {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if full {
		s.loginLog.recordNoSlot(c)
		c.Close()
		return
	}
	login := s.admission.arrive(c.network, func() {
		if !c.authenticated.Load() {
			s.loginLog.closeDisplaced(c)
		}
	})
	c.onExchange = func() {
		s.admission.markExchanging(login)
		c.extendHandshake()
	}
	go s.serve(c, login)
}

// serve serves a connection until it ends.
func (s *Server) serve(c *connection, login *pendingLogin) {
	defer s.recoverPanic("connection", c.RemoteAddr().String())
	s.unfinished.Add(1) // until the disconnect is recorded
	disconnected := func() {}
	defer func() { // last: an audit log that hangs must not keep the user's slot
		defer s.unfinished.Add(-1)
		disconnected()
	}()
	defer s.removeConnection(c)
	defer c.Close()
	conn, channels, requests, err := s.handshake(c, login)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	disconnected = s.recordLogin(c, conn)
	s.goRecover("keepalive", c, func() { s.keepAlive(ctx, c, conn) })
	s.goRecover("requests", c, func() { gossh.DiscardRequests(requests) }) // keepalives are refused too, as by OpenSSH
	for channel := range channels {
		switch kind := channel.ChannelType(); {
		case kind == "session":
			s.goRecover("session", c, func() { s.session(ctx, c, conn, channel) })
		case slices.Contains(forwardChannels, kind):
			channel.Reject(gossh.Prohibited, forwardRefusal)
		default:
			channel.Reject(gossh.UnknownChannelType, "unsupported channel type")
		}
	}
}

// handshake returns the connection once its client has proven a key.
func (s *Server) handshake(c *connection, login *pendingLogin) (*gossh.ServerConn, <-chan gossh.NewChannel, <-chan *gossh.Request, error) {
	defer func() {
		s.admission.leave(login, c.authenticated.Load())
	}()
	client, init, err := c.exchangeVersions()
	if err != nil {
		return nil, nil, nil, err
	}
	conn, channels, requests, err := gossh.NewServerConn(c, s.serverConfig(c, offeredCiphers(gossh.SupportedAlgorithms().Ciphers, client, init)))
	if err != nil {
		s.loginLog.recordFailure(c, err)
		return nil, nil, nil, err
	}
	return conn, channels, requests, nil
}

// goRecover runs f in a goroutine that no panic leaves.
func (s *Server) goRecover(what string, c *connection, f func()) {
	go func() {
		defer s.recoverPanic(what, c.RemoteAddr().String())
		f()
	}()
}

// recoverPanic keeps a panic inside the goroutine that it is deferred in.
func (s *Server) recoverPanic(what, who string) {
	if p := recover(); p != nil {
		s.Log.Error("panic", "in", what, "of", who, "panic", p)
	}
}
