package router

import (
	"context"
	"io"
	"sync"
	"time"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/audit"
	"nomadctld/internal/clusterview"
	"nomadctld/internal/cmdline"
)

// Request is one command of one session. sshd fills the first part. A comment names the middleware that sets each of
// the other fields.
type Request struct {
	Login       string // SSH user name, authenticated together with the key
	Key         string // public key in SSH wire format, authenticated
	Fingerprint string // of Key, SHA256:...
	Connection  string // ID
	Session     string // ID
	Remote      string // address and port
	Line        string // the command line as received
	LimitErr    error  // a limit that refuses this command; nil: none
	Subsystem   bool   // Line is the name of an SSH subsystem

	Stdin      io.Reader
	Stdout     io.Writer  // text; if the client has a terminal, \n becomes \r\n
	Stderr     io.Writer  // likewise
	ByteOutput ByteOutput // the same streams without that translation
	Terminal   *Terminal  // nil: the client did not request one
	Signals    *Signals   // from the client; they interrupt the command until it claims them
	Locale     []string   // K=V: LANG and LC_* from the client

	Event   audit.Event      // auditRequest creates it, the others add to it
	User    acl.User         // authenticate
	Words   []string         // expandAlias: the words of the command line after alias expansion; not empty
	Command Command          // route
	Args    []string         // route: the words without the name and the flags
	Cluster backends.Cluster // authorize: limited to the jobs the user owns; nil for TargetNone

	// authorize: changes to the user's jobs; nil unless the command is in the set Operate or Admin
	Writer backends.ClusterWriter

	Tier, Namespace string // route: --tier and --namespace, for every command that reaches a cluster; empty: all
	NoColor         bool   // sshd: NO_COLOR; route: --no-color

	Job        backends.Job         // authorize: the job that the first argument selects
	Allocation *backends.Allocation // authorize: likewise
	Task       *backends.Task       // authorize: likewise
	Part       Part                 // authorize: likewise, for TargetPart
	Runtime    TaskRuntime          // authorize: of Task

	acquireResultSlot func(context.Context) (func(), error) // limitResults: see AcquireResultSlot; nil: unlimited
	onResolved        func()                                // limitResults: called when the target is resolved; may be nil
	redacted          redactedLine                          // auditRequest: the command line without secrets
	writeStartEvent   func(durable bool) error              // auditRequest: writes the start event
	expandedLine      string                                // expandAlias: the command line after alias expansion
	runtimes          *RuntimeSelector                      // authorize
	clusters          map[string]*clusterview.Shared        // authorize
	tiers             []acl.Tier                            // authorize
	runner            *operationRunner                      // authorize
	raw               *Raw                                  // authorize
}

// Part is a group of a job, or a task in all allocations of a group. It is as the user wrote it: nothing has checked
// that the job has such a group or task. The zero value is the whole job.
type Part struct{ Group, Task string }

// ByteOutput holds the output streams of a session without newline translation.
type ByteOutput struct{ Stdout, Stderr io.Writer }

// ProgramSession is the value of backends.Program.Session for a program that the request runs. A program is found by
// this text in its environment. The final dot keeps c-1 from matching c-12.
func (r *Request) ProgramSession() string { return r.Session + "." }

// StatusWriter is the stream for prompts and progress: stderr, or stdout on a terminal. ssh does not preserve the
// order between the two streams, and on a terminal a progress line must be erased exactly where it was written.
func (r *Request) StatusWriter() io.Writer {
	if r.Terminal != nil {
		return r.Stdout
	}
	return r.Stderr
}

// RuntimeOf returns the runtime of a task in an allocation of req.Job. For any other allocation every call fails.
func (r *Request) RuntimeOf(a backends.Allocation, task string) TaskRuntime {
	if a.Tier != r.Job.Tier || a.Namespace != r.Job.Namespace || a.JobID != r.Job.ID {
		a = backends.Allocation{} // not owned by anybody
	}
	return r.runtimes.forTask(r.Cluster.(*scopedCluster), a, task)
}

// LineFrom returns the command line from Args[i] on, with quotes and spaces as sent.
func (r *Request) LineFrom(i int) (string, error) {
	return cmdline.From(r.expandedLine, len(r.Words)-len(r.Args)+i)
}

// ProgramIO returns the streams that connect a program to the session: the user's input, the client's signals, and
// the output. Until the program first reads or writes, Ctrl-C and signals still interrupt the command. After that
// they go to the program, so input typed in response to the program's output reaches the program.
func (r *Request) ProgramIO() (stdin io.Reader, signals <-chan string, out ByteOutput) {
	claim := sync.OnceFunc(func() {
		r.Signals.claim()
		if keys, ok := r.Stdin.(*terminalInput); ok {
			keys.claim()
		}
	})
	out = ByteOutput{claimingWriter{r.ByteOutput.Stdout, claim}, claimingWriter{r.ByteOutput.Stderr, claim}}
	return claimingReader{r.Stdin, claim}, r.Signals.channel, out
}

// IgnoreInput declares that the command does not read what the user types. Ctrl-C then works regardless of how much
// unread input precedes it.
func (r *Request) IgnoreInput() {
	if keys, ok := r.Stdin.(*terminalInput); ok {
		keys.allowLoss()
	}
}

// claimingReader calls claim before each read.
type claimingReader struct {
	io.Reader
	claim func()
}

func (t claimingReader) Read(p []byte) (int, error) {
	t.claim()
	return t.Reader.Read(p)
}

// claimingWriter calls claim before each write.
type claimingWriter struct {
	io.Writer
	claim func()
}

func (t claimingWriter) Write(p []byte) (int, error) {
	t.claim()
	return t.Writer.Write(p)
}

// Selection returns the selection by --tier and --namespace.
func (r *Request) Selection() backends.Selection {
	return backends.Selection{Tier: r.Tier, Namespace: r.Namespace}
}

// AllowCached accepts cluster responses up to maxAge old, so that all users who watch the same jobs share one query.
func (r *Request) AllowCached(maxAge time.Duration) {
	if s, ok := r.Cluster.(*scopedCluster); ok {
		s.maxAge = maxAge
	}
}

// ClusterFor returns the cluster limited to the jobs on which the user may run the given command, which need not be
// the current one. It returns nil if there are none.
func (r *Request) ClusterFor(command string) backends.Cluster {
	if !r.User.May(command) {
		return nil
	}
	return &scopedCluster{
		owned: r.User.Scope(command, r.tiers), clusters: r.clusters, event: &r.Event,
		maxAge: time.Second,
	}
}

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
