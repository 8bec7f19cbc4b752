package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Runtime runs programs in tasks and reads their logs, through the container runtime of the task's node or through
// Nomad. Its methods are safe for concurrent use. Errors are written for users.
type Runtime interface {
	// Exec runs a program in a running task. It returns when the program has exited and all its output has been
	// written to p.Stdout and p.Stderr. The exit code is 128+n if signal n killed the program. Exec does not wait for
	// output of background children.
	//
	// If ctx ends first, the program gets HUP, then TERM, then KILL. If the node responds at once, that takes at most
	// 10 seconds, otherwise about 20. The error is then the cause of ctx, wrapped in a *StillRunningError if the
	// program could not be killed, or in a *ZombiesError if it left zombies.
	//
	// Other errors: ErrTaskNotRunning, ErrProgramNotFound, ErrNotExecutable, ErrUnreachable, ErrUnsupported,
	// ErrLimitReached, ErrDeclined, and any other reason why the program could not start or its exit code is unknown.
	Exec(ctx context.Context, in TaskRef, p Program) (code int, err error)

	// Attach connects to the main process of a running task's container and returns its exit code when it exits. If ctx
	// ends first, the process keeps running and the error is the cause of ctx. ErrDetached: the user pressed the detach
	// keys.
	Attach(ctx context.Context, in TaskRef, a Attachment) (code int, err error)

	LogSource
}

// LogSource reads the logs of tasks.
type LogSource interface {
	// Log calls each with the chunks of the log, in the order of the source. If each returns an error, Log returns
	// it.
	//
	// Without q.Follow, Log returns at the end of the log. With q.Follow, it returns when the task's container has
	// stopped, or when ctx ends if the source cannot detect that. Log resumes an interrupted log without duplicating
	// or losing data, except where a chunk is marked Lost.
	//
	// ErrNoLog: the log does not exist (any more). ErrNoTimestamps: q needs timestamps or containers, and the source
	// has none.
	Log(ctx context.Context, in TaskRef, q LogQuery, each func(LogChunk) error) error
}

// TaskRef identifies a task of an allocation and its node.
type TaskRef struct {
	Allocation Allocation
	Task       string
	Driver     string // of the task; empty: not known
	Node       Node
}

// Program is a program to run in a task.
type Program struct {
	Argv []string // Argv[0] is looked up in the task's PATH
	User string   // name or ID, optionally with :GROUP; empty: the task's user
	Dir  string   // empty: the task's working directory
	Env  []string // K=V, added to the task's environment

	// OptionalEnv is K=V as well: TERM and the user's language. It is added if the runtime can set an environment. It
	// shares no name with Env.
	OptionalEnv []string

	// Session is in the program's environment as NOMADCTLD_SESSION, so that the program can be found again. No
	// session may be a prefix of another.
	Session string

	// Stdin is copied to the program until EOF, which is passed on, or until the program has exited. A Read may still
	// be blocked then; the caller must unblock it. Stdin is never closed. A read error is not passed on as EOF: the
	// program waits for more input, and the caller must kill it.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	Terminal Terminal      // nil: none. With a terminal, all output goes to Stdout
	Modes    TerminalModes // set before the program starts, if the task has a shell and stty
	Signals  <-chan string // to send to the program, with SSH's names: INT, TERM, HUP...; may be nil
}

// SessionVariable is the name of the environment variable that holds Program.Session.
const SessionVariable = "NOMADCTLD_SESSION"

// Terminal is the size of a user's terminal.
type Terminal interface {
	Size() (columns, rows int) // 0: unknown
	Resized() <-chan struct{}  // receives a value after one or more changes
}

// Attachment describes how a user attaches to a task.
type Attachment struct {
	Stdin          io.Reader // nil: read-only. EOF is not passed on
	Stdout, Stderr io.Writer
	Terminal       Terminal // nil: none, or read-only
	DetachKeys     string   // in Docker's notation; empty: none

	// Notice, if not nil, returns a message to write to Stderr or PlainStderr when the user is attached. tty reports
	// whether the task has a terminal.
	Notice func(tty bool) string

	// If not nil, these are used instead of Stdout, Stderr and Stdin when the task itself has no terminal.
	PlainStdout, PlainStderr io.Writer
	PlainStdin               io.Reader
}

// LogQuery selects a part of a log.
type LogQuery struct {
	Stdout, Stderr bool
	Lines          int       // the last lines of the selected outputs together, see ShareLines; negative: all
	Since          time.Time // zero: from the start
	Timestamps     bool      // set LogChunk.Time
	Follow         bool

	// PreferTimes is Timestamps, as far as the source has times. It is not an error if it has none.
	PreferTimes bool
	// Until makes a source refuse the query if the lines of the log have no times. It is not a filter: the source also
	// returns lines that are newer, and the caller drops them. Zero: the caller drops none, so times are not needed.
	Until time.Time

	AfterContainer string // read the log of the container that replaced this one; empty: any container

	// OnRetained, if not nil, is called before the first chunk if q may need older lines than the source retains. Log
	// returns its error. Sources that read log files do not call it.
	OnRetained func(context.Context, RetainedLog) error
	// ScanAll, with all lines requested, makes the source scan the whole log and call OnRetained even if it still has
	// everything.
	ScanAll bool
}

// RetainedLog describes the part of a log that a source still has.
type RetainedLog struct {
	Start   time.Time // of the first line; zero: the log is empty
	Outputs [2]RetainedOutput
	Rotated bool // judging by the size, older lines may have been deleted
}

// RetainedOutput describes the part of stdout or stderr that a source still has.
type RetainedOutput struct {
	Bytes    int64
	Lines    int
	Head     []byte // the first bytes, to find this part in another source
	Tail     []byte // the last bytes
	HasStart bool   // starts at the first line ever written: log files that start with Head contain nothing older
	HasEnd   bool   // ends at the newest line: log files that have more bytes but do not end with Tail are a different log
}

// LogFiles is a source that reads log files. They may contain older lines than another source retains.
type LogFiles interface {
	LogSource

	// Another source returns the newest part of the log. LogBefore calls each with the part before that. From this part
	// it selects the last lines, so that they and the lines in newest are q.Lines together, or all lines if q.Lines is
	// negative. It leaves out files that were last modified before q.Since, if it can find out. *MismatchError: the
	// files do not contain the newest part.
	LogBefore(ctx context.Context, in TaskRef, newest [2]RetainedOutput, q LogQuery, each func(LogChunk) error) error
}

// LogChunk is a part of a log. Data is valid during the call only and may end in the middle of a line. Data is empty in
// chunks with a Note, or that are Lost, Skipped or CaughtUp.
type LogChunk struct {
	Stderr bool
	Time   time.Time // zero: not known. With LogQuery.Timestamps or PreferTimes, a chunk is at most one line
	Data   []byte

	Note      string // a message for the user, not part of the log
	Unordered bool   // the source does not know the order of stdout and stderr
	Lost      bool   // the source has, or may have, deleted data here before it was read
	Skipped   int    // number of lines, or parts of lines, that a slow viewer of a shared log has missed here

	// A followed log contains one chunk with CaughtUp, between the existing data and new data. It names the Container
	// whose log it is; empty: none.
	CaughtUp  bool
	Container string
}

// ShareLines returns how many of the last n lines to select of stdout and of stderr if their order is not known. Each
// output gets half of n, and stderr one more if n is odd. If an output has fewer lines, the other one gets the rest.
// available has the number of lines of each output.
func ShareLines(n int, available [2]int) [2]int {
	stdout := min(available[0], max(n/2, n-available[1]))
	return [2]int{stdout, min(available[1], n-stdout)}
}

// NeedsContainer reports whether q needs a container's log: log files record neither times nor containers.
func (q LogQuery) NeedsContainer() bool {
	return q.Timestamps || !q.Since.IsZero() || !q.Until.IsZero() || q.AfterContainer != ""
}

// IsNotice reports whether the chunk is a Note or Lost.
func (c LogChunk) IsNotice() bool { return c.Lost || c.Note != "" }

// OutputIndex returns 0 for stdout and 1 for stderr.
func (c LogChunk) OutputIndex() int {
	if c.Stderr {
		return 1
	}
	return 0
}

// Errors about a task, a program or a log.
var (
	ErrTaskNotRunning   = errors.New("task is not running")
	ErrProgramNotFound  = errors.New("program not found")
	ErrNotExecutable    = errors.New("program is not executable")
	ErrUnsupported      = errors.New("not supported")
	ErrDetached         = errors.New("detached")
	ErrNoLog            = errors.New("log not found")
	ErrLogDisabled      = errors.New("the job disables logs for this task")
	ErrLogNotStored     = errors.New("the log is not stored")
	ErrLogMismatch      = errors.New("the container's log and Nomad's log files differ")
	ErrRunsNotSeparable = errors.New("Nomad's log files do not separate the runs of a task")
	ErrNoTimestamps     = errors.New("the log has no timestamps")
	ErrLimitReached     = errors.New("too many programs or logs are open")

	// ErrDeclined: the runtime does not serve this kind of request. It has started nothing and read no input, so the
	// caller may try another runtime.
	ErrDeclined = errors.New("the runtime declined the request")
)

// MismatchError reports that log files do not contain the newest part of a log. It is an ErrLogMismatch.
type MismatchError struct {
	FilesContainMore bool // the files contain more bytes than the newest part
}

func (e *MismatchError) Error() string { return ErrLogMismatch.Error() }
func (e *MismatchError) Unwrap() error { return ErrLogMismatch }

// StillRunningError reports that a program could not be killed.
type StillRunningError struct {
	Cause error // why it was to be killed
	Err   error // why that failed
}

func (e *StillRunningError) Error() string {
	return fmt.Sprintf("%v; the program may be left in the task (%v)", e.Cause, e.Err)
}
func (e *StillRunningError) Unwrap() error { return e.Cause }

// Killer kills programs that have lost their connection.
type Killer interface {
	// Kill kills the program with this Program.Session in a running task, with HUP, then TERM, then KILL. If the node
	// responds at once, that takes at most 10 seconds. It returns false if the program is not running.
	// ErrTaskNotRunning: the task is not running either. ErrUnsupported: programs cannot be found in this task.
	Kill(ctx context.Context, in TaskRef, session string) (found bool, err error)
}

// ZombiesError reports that a program was killed and left zombies, because the task's init process does not reap them.
type ZombiesError struct {
	Cause error // why it was killed
	Count int   // zombies in the task, including those of other programs
}

func (e *ZombiesError) Error() string {
	left := "1 zombie process remains"
	if e.Count != 1 {
		left = fmt.Sprintf("%d zombie processes remain", e.Count)
	}
	return fmt.Sprintf("%v; %s in the task because the task's init process does not reap zombies"+
		" (set init = true in the job's docker config)", e.Cause, left)
}
func (e *ZombiesError) Unwrap() error { return e.Cause }
