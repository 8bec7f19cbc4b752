package sshd

import (
	"net/netip"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/router"
)

// Settings are the part of a Server that can change while it serves.
type Settings struct {
	HostKeys []gossh.Signer
	Users    *acl.Directory
	Handler  router.Handler
	Limits   Limits
	Proxies  []netip.Prefix // that send a PROXY protocol header
}

// Limits bounds the resources of clients. A zero value means the default in brackets, if there is one. The
// configuration has the defaults of the others.
type Limits struct {
	Sessions            int           // per connection
	Connections         int           // of logged-in clients
	MaxStartups         MaxStartups   // connections without login; see admission
	User                UserLimits    // per user
	AllSessions         int           // running commands of all users [1000]
	GreetingTimeout     time.Duration // for the client's version line and first packets [5s]
	HandshakeTimeout    time.Duration // for the login, including the greeting [30s]
	FirstCommandTimeout time.Duration // from the login to the first command [2m]
	KeepaliveInterval   time.Duration // between keepalives [30s]; one unanswered for three intervals closes the connection
	IdleTimeout         time.Duration // without input or output; not while a command without terminal runs; 0: never
	Lifetime            time.Duration // of a connection, from the login; 0: no limit
	StopGrace           time.Duration // for canceled commands when the server stops; killing a program takes 10 s [12s]

	Penalties PenaltyLimits
	Groups    map[string]UserLimits // by prefix group: for all its users together
}

// UserLimits bounds the resources of one user or prefix group, over all connections. 0 means no limit, except for the
// connections of a user.
type UserLimits struct {
	Connections int
	Sessions    int // running commands
	Commands    int // that start within a minute
}

// MaxStartups bounds the connections that have not authenticated: see admission.
type MaxStartups struct {
	Start int // number from which a new connection may close an older one
	Rate  int // its probability at Start, in percent
	Full  int // maximum, including the reserved slots
}

// setDefaults replaces zero values by the defaults.
func (l *Limits) setDefaults() {
	setDefault(&l.AllSessions, 1000)
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

// current returns the settings for new connections and commands. They do not change.
func (s *Server) current() *Settings {
	if latest := s.latest.Load(); latest != nil {
		return latest
	}
	initial := s.Settings
	initial.Limits.setDefaults()
	s.latest.CompareAndSwap(nil, &initial)
	return s.latest.Load()
}

// Apply replaces the settings. New connections and new commands use them. Open connections keep their timeouts and
// their limit of sessions. If the key or certificate of a connection is no longer accepted, its commands are stopped,
// and it is closed.
func (s *Server) Apply(settings Settings) {
	settings.Limits.setDefaults()
	s.latest.Store(&settings)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admission == nil { // not serving yet
		return
	}
	s.admission.resize(settings.Limits.MaxStartups)
	for c := range s.conns {
		c.recheckLogin()
	}
}
