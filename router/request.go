package router

import (
	"context"
	"io"
	"sync"
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
	LimitErr    error  // why a limit of the connection's user lets no command begin; nil: it does
	Subsystem   bool   // Line is the name of an SSH subsystem

	Stdin    io.Reader
	Stdout   io.Writer // text: \n becomes \r\n where the client has a terminal
	Stderr   io.Writer // likewise
	Bytes    Bytes     // the same streams for what is to arrive as it is
	Terminal *Terminal // nil when the client asked for none
	Signals  *Signals  // what the client sends; they interrupt the command unless it takes them
	Locale   []string  // K=V: LANG and LC_* as the client sent them

	Event   audit.Event      // audited starts it, everybody adds to it
	User    acl.User         // authenticate
	Words   []string         // alias: the command line split, aliases expanded; not empty
	Command Command          // route
	Args    []string         // route: what is left of Words after the name and the flags
	Cluster backends.Cluster // authorize: what is the user's, and nothing else; nil for TargetNone

	// authorize: how to change what is the user's; nil unless the command is of Operate or Admin
	Operations backends.ClusterWriter

	Tier, Namespace string // route: --tier and --namespace, for every command that reaches a cluster; empty: all
	NoColor         bool   // route: --no-color

	Job        backends.Job         // authorize: what the first argument names
	Allocation *backends.Allocation // likewise
	Task       *backends.Task       // likewise
	Part       Part                 // likewise, for TargetPart: of Job
	Runtime    TaskRuntime          // authorize: that of Task

	acquireResultSlot func(context.Context) (func(), error) // bounded: waits for one of the user's slots; nil: there are none
	onResolved        func()                                // bounded: to be called when authorize has found what the command is about; may be nil
	redacted          redactedLine                          // audited: the command line without secrets
	writeStartEvent   func(durable bool) error              // audited: writes the start event
	expandedLine      string                                // alias: the command line after its expansion; Words are its words
	runtimes          *RuntimeSelector                      // authorize
	clusters          map[string]*backends.SharedCluster    // authorize
	tiers             []acl.Tier                            // likewise
	runner            *operationRunner                      // likewise
	raw               *Raw                                  // likewise
}

// Part is a group of a job, or a task of all allocations of a group. They are as the user wrote them: whether the job has
// them is not looked up. The zero value is the whole job.
type Part struct{ Group, Task string }

// Bytes is the output streams of a session, untouched.
type Bytes struct{ Stdout, Stderr io.Writer }

// ProgramSession is what Program.Session is to be for a program that the request runs: the name of the session, ended so that
// it is not the beginning of another's. Programs are found by what their environment contains.
func (r *Request) ProgramSession() string { return r.Session + "." }

// StatusWriter is the stream of what a person follows while a command goes on. On a terminal that is the one of the results: ssh
// keeps no order between its two streams, and what is written over, or taken away, has to be the line that was meant.
func (r *Request) StatusWriter() io.Writer {
	if r.Terminal != nil {
		return r.Stdout
	}
	return r.Stderr
}

// RuntimeOf returns the way into a task of an allocation of req.Job. Nothing can be done with it that is not the user's.
func (r *Request) RuntimeOf(a backends.Allocation, task string) TaskRuntime {
	if a.Tier != r.Job.Tier || a.Namespace != r.Job.Namespace || a.JobID != r.Job.ID {
		a = backends.Allocation{} // nobody's
	}
	return r.runtimes.forTask(r.Cluster.(*scopedCluster), a, task)
}

// LineFrom returns the command line from Args[i] on, untouched: quotes and spaces as they were sent.
func (r *Request) LineFrom(i int) (string, error) {
	return lineFrom(r.expandedLine, len(r.Words)-len(r.Args)+i)
}

// ProgramIO gives a command what it needs to let a program have the session: what the user types, the signals that the client
// sends, and the streams for output. Until the program first reads or writes, which is when it has begun, Ctrl-C and the
// signals still interrupt the command; who answers to what a program has written reaches the program.
func (r *Request) ProgramIO() (stdin io.Reader, signals <-chan string, out Bytes) {
	take := sync.OnceFunc(func() {
		r.Signals.claim()
		if keys, ok := r.Stdin.(*terminalInput); ok {
			keys.claim()
		}
	})
	out = Bytes{claimingWriter{r.Bytes.Stdout, take}, claimingWriter{r.Bytes.Stderr, take}}
	return claimingReader{r.Stdin, take}, r.Signals.channel, out
}

// IgnoreInput says that the command does not read what the user types: Ctrl-C is heard however much that is.
func (r *Request) IgnoreInput() {
	if keys, ok := r.Stdin.(*terminalInput); ok {
		keys.allowLoss()
	}
}

// claimingReader calls take before it reads.
type claimingReader struct {
	io.Reader
	claim func()
}

func (t claimingReader) Read(p []byte) (int, error) {
	t.claim()
	return t.Reader.Read(p)
}

// claimingWriter calls take before it writes.
type claimingWriter struct {
	io.Writer
	claim func()
}

func (t claimingWriter) Write(p []byte) (int, error) {
	t.claim()
	return t.Writer.Write(p)
}

// Selection returns which jobs the request's --tier and --namespace allow.
func (r *Request) Selection() backends.Selection {
	return backends.Selection{Tier: r.Tier, Namespace: r.Namespace}
}

// AllowCached says that answers up to maxAge old will do: the clusters are asked once for all who watch the same thing.
func (r *Request) AllowCached(maxAge time.Duration) {
	if s, ok := r.Cluster.(*scopedCluster); ok {
		s.maxAge = maxAge
	}
}

// ClusterFor returns what of the clusters the user may use a command on, whichever command this is; nil if none.
func (r *Request) ClusterFor(command string) backends.Cluster {
	if !r.User.May(command) {
		return nil
	}
	return &scopedCluster{owned: r.User.Scope(command, r.tiers), clusters: r.clusters, event: &r.Event, maxAge: time.Second}
}

// AllowedCommands returns the commands the request's user may use, by name.
func (r *Request) AllowedCommands() []Spec {
	var specs []Spec
	for _, spec := range Specs() {
		if !spec.Hidden && (spec.Set == Public || r.User.May(spec.Name)) {
			specs = append(specs, spec)
		}
	}
	return specs
}
