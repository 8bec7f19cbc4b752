package router

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
)

// Request is one command of one session on its way through the middleware. sshd fills the first part; the
// middleware named beside the other fields fills them.
type Request struct {
	Login       string // the ssh user name that came with the proven key
	Key         string // the proven public key in SSH wire format
	Fingerprint string // of Key, SHA256:...
	Connection  string // ID
	Session     string // ID
	Remote      string // address and port
	Line        string // the command line as received

	Stdin    io.Reader
	Stdout   io.Writer // text: \n becomes \r\n where the client has a terminal
	Stderr   io.Writer // likewise
	Terminal *Terminal // nil when the client asked for none

	Event   audit.Event      // audit starts it, everybody adds to it
	User    acl.User         // authenticate
	Words   []string         // alias: the command line split, aliases expanded; not empty
	Command Command          // route
	Args    []string         // route: what is left of Words after the name and the flags
	Cluster backends.Cluster // authorize: what is the user's, and nothing else; nil for TargetNone

	Tier, Namespace string // route: --tier and --namespace, for every command that reaches a cluster; empty: all
	NoColor         bool   // route: --no-color

	Job        backends.Job         // authorize: what the first argument names
	Allocation *backends.Allocation // likewise
	Task       *backends.Task       // likewise
	Container  Container            // authorize: that of Task
}

// Container is the container of the one task that a request is about.
type Container interface {
	// Inspect returns what the container runtime says of it, in JSON, byte for byte.
	Inspect(ctx context.Context) (json.RawMessage, error)
}

// Selection returns which jobs the request's --tier and --namespace allow.
func (r *Request) Selection() backends.Selection {
	return backends.Selection{Tier: r.Tier, Namespace: r.Namespace}
}

// Share says that answers up to maxAge old will do: the clusters are asked once for all who watch the same thing.
func (r *Request) Share(maxAge time.Duration) {
	if s, ok := r.Cluster.(*scope); ok {
		s.maxAge = maxAge
	}
}

// Allowed returns the commands the request's user may use, by name.
func (r *Request) Allowed() []Spec {
	var specs []Spec
	for _, spec := range Specs() {
		if spec.Target == TargetNone || r.User.May(spec.Name) {
			specs = append(specs, spec)
		}
	}
	return specs
}
