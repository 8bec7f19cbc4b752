// Package sshd is the SSH server of the gateway. It authenticates clients, enforces connection and session limits, and
// turns each session into one router.Request. It does not know any commands. Only this package imports gliderlabs/ssh.
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

	"nomadctld/internal/audit"
	"nomadctld/internal/metrics"
	"nomadctld/router"
)

// Server accepts connections. Set the exported fields before Serve.
type Server struct {
	Settings Settings // at the start; Apply replaces them
	Log      *slog.Logger
	Record   func(audit.Event) // logins, failed logins and disconnects; nil: not recorded
	Metrics  *metrics.Recorder // may be nil

	latest atomic.Pointer[Settings] // see current

	now        func() time.Time // for the validity of keys and certificates; nil: time.Now
	ssh        *ssh.Server
	commandCtx context.Context // canceled to stop all commands

	unfinished atomic.Int32 // sessions and connections whose end event is not written yet
	admission  *admission
	loginLog   loginLog
	backlog    *inputBacklog
	rates      commandRates
	penalties  penalties

	proxyHeaders atomic.Int32 // connections in readClientAddress

	mu    sync.Mutex // guards the fields below
	conns map[*connection]struct{}
	usage map[subject]*usage

	listener net.Listener  // set by Serve
	draining bool          // Drain was called
	drained  chan struct{} // see Drained; nil: not needed yet
	stopAt   time.Time     // when running commands are canceled; zero: the server is not stopping
}

// Serve accepts connections on l until ctx ends. Then it closes idle connections, gives running commands a grace
// period and prints that, cancels them with router.ErrGatewayStopping and finally closes their connections. It returns
// nil afterwards, or the error of Accept. Commands that do not stop are logged and abandoned.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	s.backlog = newInputBacklog()
	s.mu.Lock() // the exported methods may be called before Serve
	s.conns, s.usage, s.listener = map[*connection]struct{}{}, map[subject]*usage{}, l
	s.admission = newAdmission(s.current().Limits.MaxStartups)
	if s.draining {
		l.Close()
	}
	s.mu.Unlock()
	s.loginLog = newLoginLog(s)
	defer s.loginLog.flush()
	s.ssh = &ssh.Server{Handler: s.handle} // only for sessions
	var stopCommands context.CancelCauseFunc
	s.commandCtx, stopCommands = context.WithCancelCause(context.Background())
	defer stopCommands(nil)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if err := s.accept(l); ctx.Err() == nil {
		if !s.isDraining() {
			return err
		}
		s.closeIdleUntil(ctx)
	}
	stopGrace := s.current().Limits.StopGrace
	s.announceStop(grace)
	const (
		interval   = 20 * time.Millisecond
		closeGrace = time.Second // for commands whose connection was closed
	)
	for waited := time.Duration(0); ; waited += interval {
		if waited >= grace {
			stopCommands(router.ErrGatewayStopping)
		}
		left := s.closeIdle(waited >= grace+stopGrace)
		if left == 0 {
			return nil
		}
		if waited >= grace+stopGrace+closeGrace {
			s.Log.Error("stopped while sessions were still running", "sessions", left)
			return nil
		}
		time.Sleep(interval)
	}
}

// closeIdle closes connections without a session, or all connections. It returns the number of connections and sessions
// that are left.
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

// accept serves new connections until the listener is closed.
func (s *Server) accept(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			s.Log.Error("cannot accept a connection", "error", err) // probably out of file descriptors: keep serving the others
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.admit(conn)
	}
}

// admit serves a connection in the background, unless it is refused.
func (s *Server) admit(conn net.Conn) {
	c := newConnection(conn, s.current().Limits)
	c.backlog = s.backlog
	if s.isProxy(conn.RemoteAddr()) {
		s.goRecover("proxy", c, func() {
			if s.readClientAddress(c) {
				s.admitClient(c)
			}
		})
		return
	}
	s.admitClient(c)
}

// admitClient serves a connection in the background, unless it is refused. The client's address must be known.
func (s *Server) admitClient(c *connection) {
	if s.isPenalized(c) {
		s.loginLog.refusePenalized(c)
		return
	}
	s.mu.Lock()
	full := s.loginCount() >= s.current().Limits.Connections
	stopping := s.draining || !s.stopAt.IsZero() // may have started while a proxy's header arrived
	if !full && !stopping {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if full || stopping {
		if full {
			s.loginLog.recordConnectionLimit(c)
		}
		c.Close()
		return
	}
	login := s.admission.arrive(c.network, func() {
		if !c.authenticated.Load() {
			c.displaced.Store(true)
			s.loginLog.closeDisplaced(c)
		}
	})
	c.onExchange = func() {
		s.admission.markExchanging(login)
		c.extendHandshake()
	}
	go s.serve(c, login)
}

// serve serves a connection until it is closed.
func (s *Server) serve(c *connection, login *pendingLogin) {
	defer s.recoverPanic("connection", c.RemoteAddr().String())
	s.unfinished.Add(1) // until the disconnect is recorded
	disconnected := func() {}
	defer func() { // last, because a blocked audit log must not occupy the user's slot
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
	s.goRecover("login expiry", c, func() { s.watchLogin(ctx, c, conn) })
	s.goRecover("lifetime", c, func() { s.watchLifetime(ctx, c) })
	s.goRecover("requests", c, func() { gossh.DiscardRequests(requests) }) // also refuses keepalives, as OpenSSH does
	for channel := range channels {
		switch kind := channel.ChannelType(); {
		case kind == "session":
			s.goRecover("session", c, func() { s.session(ctx, c, conn, channel) })
		case slices.Contains(forwardChannels, kind):
			channel.Reject(gossh.Prohibited, s.forwardRefusal(conn))
		default:
			channel.Reject(gossh.UnknownChannelType, "unsupported channel type")
		}
	}
}

// handshake returns the connection once the client has proven a key.
func (s *Server) handshake(
	c *connection, login *pendingLogin,
) (*gossh.ServerConn, <-chan gossh.NewChannel, <-chan *gossh.Request, error) {
	defer func() {
		s.admission.leave(login, c.authenticated.Load())
	}()
	client, init, err := c.exchangeVersions()
	if err != nil {
		s.Metrics.LoginFailed(metrics.NoHandshake)
		s.penalize(c, metrics.NoHandshake)
		return nil, nil, nil, err
	}
	ciphers := offeredCiphers(gossh.SupportedAlgorithms().Ciphers, client, init)
	conn, channels, requests, err := gossh.NewServerConn(c, s.serverConfig(c, ciphers))
	if err != nil {
		s.loginLog.recordFailure(c, err)
		return nil, nil, nil, err
	}
	return conn, channels, requests, nil
}

// goRecover runs f in a goroutine and recovers panics.
func (s *Server) goRecover(what string, c *connection, f func()) {
	go func() {
		defer s.recoverPanic(what, c.RemoteAddr().String())
		f()
	}()
}

// recoverPanic logs a panic of the goroutine in which it is deferred.
func (s *Server) recoverPanic(what, who string) {
	if p := recover(); p != nil {
		s.Log.Error("panic", "goroutine", what, "client", who, "panic", p)
	}
}
