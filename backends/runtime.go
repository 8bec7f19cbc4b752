package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Runtime reaches into tasks: through the container runtime of their node, or through Nomad. Its methods may be called
// at the same time. An error names what is wrong in words for users.
type Runtime interface {
	// Exec runs a program in a running task. It returns the exit code, 128+n for one that signal n ended, once the
	// program has ended and all that it wrote has been written to p.Stdout and p.Stderr. What a child that it leaves in
	// the background still writes is not waited for.
	//
	// When ctx ends first, the program gets HUP, then TERM, then KILL within 10 seconds, and the error is the cause of
	// ctx; a *StillRunningError around it says that the program could not be ended, a *ZombiesError that it was and left zombies.
	//
	// Other errors: ErrTaskNotRunning, ErrProgramNotFound, ErrNotExecutable, ErrUnreachable, ErrUnsupported, ErrLimitReached, ErrDeclined, and what
	// else kept the program from being started or its end from being known.
	Exec(ctx context.Context, in TaskRef, p Program) (code int, err error)

	// Attach connects to the main process of a running task's container and returns its exit code when it has ended.
	// When ctx ends first the process goes on, and the error is the cause of ctx. ErrDetached: the keys were pressed.
	Attach(ctx context.Context, in TaskRef, a Attachment) (code int, err error)

	LogSource
}

// LogSource reads the logs of tasks.
type LogSource interface {
	// Log calls each with the log in pieces, in the order of the source, and returns its error if it has one. Without
	// q.Follow it returns at the end of what there is. With it, it goes on until the task's container has stopped, or
	// until ctx ends where a source does not tell that; an interrupted source is asked again, and then nothing comes
	// twice and nothing is missing, but for what a Piece says is Gone. ErrNoLog: there is none, or none any more.
	// ErrNoTimestamps: the source has no times or no containers, and q asks for some.
	Log(ctx context.Context, in TaskRef, q LogQuery, each func(LogChunk) error) error
}

// TaskRef is a task of an allocation, and where it is.
type TaskRef struct {
	Allocation Allocation
	Task       string
	Driver     string // of the task; empty: not known
	Node       Node
}

// Program is what is run in a task.
type Program struct {
	Argv        []string // Argv[0] is looked up in the task's PATH
	User        string   // name or ID, with :GROUP if need be; empty: that of the task
	Dir         string   // empty: that of the task
	Env         []string // K=V, added to that of the task
	OptionalEnv []string // K=V, added to that of the task where a runtime can: TERM, and the user's language. No name is in Env too
	Session     string   // in the program's environment as NOMADCTLD_SESSION, by which it is found again; no other's may begin with it

	// Stdin is read until its end, which is passed on, or until the program has ended; the last Read may then still
	// wait, and ends when the caller ends Stdin. It is never closed. An error of it is no end: the program waits for more,
	// and it is for the caller to end it.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       Terminal      // nil: none; with one all output goes to Stdout
	Modes          TerminalModes // for Terminal, before the program starts; where the task has no shell or no stty they are not set
	Signals        <-chan string // for the program, as SSH names them: INT, TERM, HUP...; may be nil
}

// SessionVariable is the name of the environment variable that holds Program.Session.
const SessionVariable = "NOMADCTLD_SESSION"

// Terminal is the size of a user's terminal.
type Terminal interface {
	Size() (columns, rows int) // 0: unknown
	Resized() <-chan struct{}  // gets a value after a change; several may come as one
}

// Attachment is how a user attaches to a task.
type Attachment struct {
	Stdin          io.Reader // nil: read-only. Its end is not passed on
	Stdout, Stderr io.Writer
	Terminal       Terminal // nil: none, or read-only
	DetachKeys     string   // in Docker's notation; empty: none

	// Where the task has no terminal of its own these, if not nil, take its output in place of Stdout and Stderr, and give its
	// input in place of Stdin.
	PlainStdout, PlainStderr io.Writer
	PlainStdin               io.Reader
}

// LogQuery says what of a log is wanted.
type LogQuery struct {
	Stdout, Stderr bool
	Lines          int       // the last so many of stdout and of stderr each; negative: all
	Since          time.Time // zero: from the beginning
	Timestamps     bool      // Piece.Time is wanted
	Follow         bool
	AfterContainer string // a container, of which no log is wanted, but of the one that takes its place; empty: any

	// OnRetained, if not nil, is called before the first piece where q may want more of the past than a source holds. Its error
	// is that of Log. Sources that keep logs in files do not call it.
	OnRetained func(context.Context, RetainedLog) error
	// ScanAll says that Older is to be called in any case, with what there is of all of the log.
	ScanAll bool
}

// RetainedLog is what a source holds of a log, where that may not be all of it.
type RetainedLog struct {
	Start   time.Time // when its first line was written; zero: it holds none
	Outputs [2]RetainedOutput
	Rotated bool // older lines may have been deleted, to judge by the size
}

// RetainedOutput is what a source holds of stdout or stderr.
type RetainedOutput struct {
	Bytes    int64
	Lines    int
	Head     []byte // the first bytes, by which others find where it begins
	Tail     []byte // the last bytes
	Complete bool   // nothing has been deleted by rotation, so files that begin with it hold nothing older
	Final    bool   // nothing has been written after it, so files that end with something else are another log
}

// LogFiles is a source that keeps logs in files, which may go back further than what another source holds.
type LogFiles interface {
	LogSource

	// LogBefore calls each with what the files hold from before the newest part of a log: the last lines before it so that
	// there are q.Lines with it, or all, but no files that were last written to before q.Since where that can be known.
	// ErrLogMismatch: the files do not hold the newest part.
	LogBefore(ctx context.Context, in TaskRef, newest [2]RetainedOutput, q LogQuery, each func(LogChunk) error) error
}

// LogChunk is a part of a log. Data is valid during the call only and may end anywhere, in the middle of a line too.
type LogChunk struct {
	Stderr bool
	Time   time.Time // when it was written; zero: not known. Where times are wanted, a piece is of one line
	Data   []byte
	// Note is a remark for the user, who reads it apart from the log; Data is empty then.
	Note string
	// Unordered says that the source does not know the order of stdout and stderr.
	Unordered bool
	// Lost says that the source has deleted something here before it was read, or may have; Data is empty then.
	Lost bool
	// Skipped is how many lines, in whole or in part, a viewer of a shared stream has missed here; Data is empty then.
	Skipped int

	// In a log that is followed one piece is Live, without Data: what there was has been passed on, and now comes what is
	// new. It names the Container whose log it is; empty: that of no container.
	CaughtUp  bool
	Container string
}

// NeedsContainer reports whether q asks for what only a container's log has: times, and its being another's.
func (q LogQuery) NeedsContainer() bool {
	return q.Timestamps || !q.Since.IsZero() || q.AfterContainer != ""
}

// isNotice reports whether the piece is not a part of the log, but about it.
func (p LogChunk) isNotice() bool { return p.Lost || p.Note != "" }

// Output returns 0 for a piece of stdout and 1 for one of stderr.
func (p LogChunk) Output() int {
	if p.Stderr {
		return 1
	}
	return 0
}

// What can be wrong with a task, a program or a log.
var (
	ErrTaskNotRunning   = errors.New("is not running")
	ErrProgramNotFound  = errors.New("not found")
	ErrNotExecutable    = errors.New("cannot be executed")
	ErrUnsupported      = errors.New("cannot be done")
	ErrDetached         = errors.New("detached")
	ErrNoLog            = errors.New("there is no log")
	ErrLogDisabled      = errors.New("the job disables logs for this task")
	ErrLogNotKept       = errors.New("no log can be read")
	ErrLogMismatch      = errors.New("the two sources of the log differ")
	ErrRunsNotSeparable = errors.New("Nomad's files hold all runs of a task in one log, without marks between them")
	ErrNoTimestamps     = errors.New("the log has no times")
	ErrLimitReached     = errors.New("too many programs or logs are open")

	// ErrDeclined: the runtime has answered that it does not serve such requests. It has started nothing and read no input,
	// so another runtime may be asked.
	ErrDeclined = errors.New("the runtime declines the request")
)

// StillRunningError is a program that runs on although it should have been ended.
type StillRunningError struct {
	Cause error // why it should
	Err   error // why it could not
}

func (e *StillRunningError) Error() string {
	return fmt.Sprintf("%v; its program may still run: %v", e.Cause, e.Err)
}
func (e *StillRunningError) Unwrap() error { return e.Cause }

// Killer ends programs to which nobody has a connection any more.
type Killer interface {
	// Kill ends the program whose Program.Session is session, in a running task: it gets HUP, then TERM, then KILL within
	// 10 seconds. found is false if no such program runs. ErrTaskNotRunning: the task does not run either. ErrUnsupported: programs
	// cannot be found in this task.
	Kill(ctx context.Context, in TaskRef, session string) (found bool, err error)
}

// ZombiesError is a program that was ended, in a task whose first process does not reap what it inherits.
type ZombiesError struct {
	Cause error // why it was ended
	Count int   // ended processes that stay in the task, those of other programs included
}

func (e *ZombiesError) Error() string {
	left := "1 zombie process is"
	if e.Count != 1 {
		left = fmt.Sprintf("%d zombie processes are", e.Count)
	}
	return fmt.Sprintf("%v; %s left in the task, because its first process does not reap them (set init = true in the job's docker config)", e.Cause, left)
}
func (e *ZombiesError) Unwrap() error { return e.Cause }
