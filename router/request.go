package router

import (
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/console"
)

// Request is one command of one session. A comment names the middleware that sets each field; sshd sets the others.
type Request struct {
	Session Session
	Console *console.Console
	Target  Target // authorize: what the first argument selects among the user's jobs
	Access  Access // authorize

	Event     audit.Event        // auditRequest creates it, the others add to it
	User      User               // authenticate
	Words     []string           // expandAlias: the words of the command line after alias expansion; not empty
	Expanded  string             // expandAlias: the command line after alias expansion
	Command   Command            // route
	Args      []string           // route: the words without the name and the flags
	Selection backends.Selection // route: --tier and --namespace, for every command that reaches a cluster; empty: all
	Any       bool               // route: --any, for a command with Spec.PicksInstance

	onlyCommand     *string                  // authenticate: the only command line that the login may run; nil: all
	access          *accessUse               // trackAccess
	redacted        redactedLine             // auditRequest: the command line without secrets
	writeStartEvent func(durable bool) error // auditRequest: writes the start event
}

// Session describes the client that sent the command line.
type Session struct {
	Login       string             // SSH user name, authenticated together with the key
	Key         string             // public key or certificate in SSH wire format, authenticated
	Fingerprint string             // of the public key, SHA256:...
	Certificate *audit.Certificate // nil: Key is a public key
	Connection  string             // ID of the connection
	ID          string
	Remote      string   // address and port
	Line        string   // the command line as received
	Subsystem   bool     // Line is the name of an SSH subsystem
	Locale      []string // K=V: LANG and LC_* from the client
	Refusal     error    // why this command is refused: a limit, an expired login or a drain; nil: it is not
}

// ProgramSession is the value of backends.Program.Session for a program that the session runs. A program is found by
// this text in its environment. The final dot keeps c-1 from matching c-12.
func (s Session) ProgramSession() string { return s.ID + "." }

// AllowedCommands returns the commands that the user may run, sorted by name.
func (r *Request) AllowedCommands() []Spec {
	var specs []Spec
	for _, spec := range Specs() {
		if !spec.Hidden && (spec.RightSet == Public || r.User.May(spec.Name)) {
			specs = append(specs, spec)
		}
	}
	return specs
}

// Require returns an error, and records the refusal, if the user does not have the right on the target's job.
func (r *Request) Require(right string) error {
	job := r.Target.Job
	if r.User.scope(right).Owns(job.Ref()) {
		return r.access.onJob(right, job.Ref())
	}
	return r.Deny(fmt.Errorf("you do not have the %s right on %s (see: can-i %s %s)", right, job.ID, right, job.ID))
}

// Deny records that err is a refusal, and returns it.
func (r *Request) Deny(err error) error {
	r.Event.Decision = audit.Denied
	return err
}
