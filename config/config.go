// Package config loads nomadctld.toml into one validated Config. It owns the schema, the defaults and the diagnostics:
// a file is either valid as a whole, or refused with every error in it, each with its line and what to write instead.
// It must not contact a cluster or a Docker daemon.
package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"nomadctld/internal/authkeys"
	"nomadctld/internal/krl"
	"nomadctld/internal/tlsfiles"
)

// Config is a file that passed every check. Paths in it are as written. Relative paths start at the current directory.
type Config struct {
	Path    string            // of the config file, as passed to Load
	General General           // [general]
	Aliases map[string]string // alias name to command line, including aliases that have the name of a command
	Tiers   []Tier            // [nomad.NAME], sorted by name
	Groups  map[string]Group  // [prefix.NAME]
	Users   []User            // [users.NAME], sorted by name
	Docker  Docker            // [docker]
	Auth    Auth              // [auth]
	Audit   Audit             // [audit]
	Limits  Limits            // [limits]
	Metrics Metrics           // [metrics]
	Raw     Raw               // [raw]
	Source  Source            // the files that it was loaded from
}

// General has the settings of the original nomadctld, the program that this one replaces (docs/migrating.md).
type General struct {
	HostKeys    []string // private key files, at least one
	Bind        string   // host:port; default ":2222"
	Control     string   // path of a unix socket; empty: none
	DockerPort  string   // 1 to 65535, or empty
	DockerAPI   string   // such as 1.44, for the daemons that support it; empty: negotiate
	NomadBinary string   // may not exist; only raw needs it

	Proxies []netip.Prefix // that send a PROXY protocol header
}

// Tier is the address of a cluster, a token, and the prefixes of the jobs in the tier.
type Tier struct {
	Name      string
	URL       string   // http or https, without a trailing slash
	Prefixes  []string // at least one
	Aliases   []string // other names of the tier
	TokenFile string   // empty: a cluster without ACLs
	TLS       tlsfiles.Files
}

// Group is the access that [prefix.NAME] grants to its users.
type Group struct {
	Name       string
	Prefixes   []string // of job IDs, without "raw"
	Raw        bool     // "raw" was among the prefixes
	Commands   []string // names and sets; nil: all except those of @admin
	Namespaces []string // nil: all namespaces

	From    []netip.Prefix      // networks in which the grants apply; nil: everywhere
	Require map[string][]string // factors that a login must prove (cert, sk), by right or set; "" is every right
	Limits  UserLimits          // of all users of the group together
}

// User is one login.
type User struct {
	Name     string // the login
	FullName string
	Keys     []authkeys.Key // of the user, and of CAs for this user
	Cert     bool           // Auth.CAs may sign certificates for this user
	From     []netip.Prefix // nil: the user may log in from everywhere
	Groups   []string       // only groups that exist
}

// Docker configures how the gateway connects to tasks.
type Docker struct {
	Exec   string   // auto, docker or nomad
	Host   string   // may contain {node} and {address}; empty: tcp://<node>:<dockerport>
	Refuse []string // task drivers for which exec and attach are refused
	TLS    tlsfiles.Files
}

// Auth configures certificates, keys files and revoked keys. The files that it names have been read.
type Auth struct {
	CAs         []ssh.PublicKey     // sign certificates of users; empty: no certificates
	Revoked     *krl.List           // nil: nothing is revoked
	MaxValidity time.Duration       // of certificates; 0: not bounded
	KeysFile    string              // a path with %u for the login; empty: none
	Principals  map[string][]string // principal to prefix groups that exist
}

// Audit configures the audit log, the recordings and the saved jobs.
type Audit struct {
	File       string // "-" is standard output; empty: standard error
	Recordings string // a directory; empty: no recordings
	Required   bool   // refuse a command if its start event cannot be written
	Jobs       string // a directory for saved job definitions; empty: none
}

// Raw restricts the nomad binary that the command raw runs.
type Raw struct {
	User  string   // the user that runs it if the gateway is root; empty: root
	Allow []string // allowed command lines, by their first words; nil: all safe ones
}

// Metrics configures the plain HTTP listener.
type Metrics struct {
	Bind string // host:port, or unix: and a path; empty: off
}

// Summary is one line for the log: "3 tiers (production, quality, test), 2 users, 2 prefix groups", and the number
// of CAs if there are any.
func (c *Config) Summary() string {
	var names []string
	for _, t := range c.Tiers {
		names = append(names, t.Name)
	}
	summary := fmt.Sprintf("%s (%s), %s, %s", count(len(names), "tier"), strings.Join(names, ", "),
		count(len(c.Users), "user"), count(len(c.Groups), "prefix group"))
	if len(c.Auth.CAs) > 0 {
		summary += ", " + count(len(c.Auth.CAs), "CA")
	}
	return summary
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
