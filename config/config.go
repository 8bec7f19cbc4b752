// Package config turns nomadctld.toml into one validated value. It exists so that the rest of the gateway never
// meets a half-right setting: either everything in the file fits together, or the file is refused with every fault
// in it, each with its line and with what to write instead.
package config

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Config is a file that passed every check. File names in it are as written, relative ones to the current directory.
type Config struct {
	Path    string            // the file it came from, as given
	General General           // [general]
	Aliases map[string]string // alias name to command line; includes those that shadow a command
	Tiers   []Tier            // [nomad.NAME], sorted by name
	Groups  map[string]Group  // [prefix.NAME]
	Users   []User            // [users.NAME], sorted by name
	Docker  Docker            // [docker]
	Auth    Auth              // [auth]
	Audit   Audit             // [audit]
	Limits  Limits            // [limits]
	Metrics Metrics           // [metrics]
	Raw     Raw               // [raw]
}

// General holds the settings of the original nomadctld.
type General struct {
	HostKeys    []string // files with a private key each; at least one
	Bind        string   // host:port, ":2222" when the file has none
	DockerPort  string   // 1 to 65535, or empty
	DockerAPI   string   // such as 1.44, spoken with the daemons that know it; empty: negotiate
	NomadBinary string   // not checked: only raw needs it
}

// Tier is a cluster address, a token and the job prefixes that live there.
type Tier struct {
	Name      string
	URL       string   // http or https, without a trailing slash
	Prefixes  []string // at least one
	Aliases   []string // other names of the tier
	TokenFile string   // empty: a cluster without ACL
	TLS       TLS
}

// TLS names the PEM files of a connection; Cert and Key come together or not at all.
type TLS struct {
	CA, Cert, Key, ServerName string
}

// Group is what [prefix.NAME] grants to the users who name it.
type Group struct {
	Name       string
	Prefixes   []string // of job IDs, without "raw"
	Raw        bool     // "raw" was among the prefixes
	Commands   []string // names and sets; nil: all but those of @admin
	Namespaces []string // nil: every namespace
}

// User is one login.
type User struct {
	Name     string // the login
	FullName string
	Keys     []ssh.PublicKey // none only when certificates are trusted
	Groups   []string        // only those that exist
}

// Docker says how a task is reached.
type Docker struct {
	Exec   string   // auto, docker or nomad
	Host   string   // may contain {node} and {address}; empty: tcp://<node>:<dockerport>
	Refuse []string // drivers of tasks that nobody may run programs in or attach to
	TLS    TLS
}

// Auth names what else than a listed key proves a user.
type Auth struct {
	UserCA string // a file with OpenSSH public keys; empty: no certificates
}

// Audit says where events and recordings go.
type Audit struct {
	File       string // "-" is standard output; empty: standard error
	Recordings string // a directory; empty: no recordings
	Required   bool   // refuse the command when they cannot be written
	Jobs       string // a directory for the definitions of jobs that restart --full stops; empty: none
}

// Raw confines the nomad binary that the command raw runs.
type Raw struct {
	User  string   // whom it runs as when the gateway is root; empty: the gateway's own
	Allow []string // beginnings of its command lines; nil: all that are safe
}

// Limits bound what clients may take.
type Limits struct {
	Sessions        int           // per connection
	Connections     int           // in all
	Unauthenticated int           // connections still in the handshake
	Idle            time.Duration // 0: never ended
	User            UserLimits    // [limits.user]
}

// UserLimits bound what one user may take at a time.
type UserLimits struct {
	Connections int
	Sessions    int // over all connections
	Programs    int // on one cluster
	Logs        int // likewise
}

// Metrics is the plain HTTP listener.
type Metrics struct {
	Bind string // host:port; empty: off
}

// Summary is one line for the log: "3 tiers (production, quality, test), 2 users, 2 prefix groups".
func (c *Config) Summary() string {
	var names []string
	for _, t := range c.Tiers {
		names = append(names, t.Name)
	}
	return fmt.Sprintf("%s (%s), %s, %s", count(len(names), "tier"), strings.Join(names, ", "),
		count(len(c.Users), "user"), count(len(c.Groups), "prefix group"))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
