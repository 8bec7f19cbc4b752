// Package nomadcli runs the nomad binary on behalf of users. On its own, the binary connects to any address given as
// an argument, uses a token that is not the user's, and reads and writes files on this machine. The package
// therefore permits only the commands and flags in a table (allowlist.go). Each run gets its own session, environment
// and temporary directory (run.go, sandbox.go). The program reaches the cluster only through a proxy (proxy.go). Only
// the proxy has the token.
package nomadcli

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"time"
)

// ErrNoBinary is returned if no binary is configured.
var ErrNoBinary = errors.New("no nomad binary is configured; ask the gateway's operator to set general.nomadbinary")

// Binary is a nomad binary and the rules under which it is run.
type Binary struct {
	Path  string   // absolute; empty: none, see ErrNoBinary
	Allow []string // prefixes of the permitted commands, such as "job status"; nil: all that are not refused
	User  string   // the user that runs it if the gateway is root; empty: the gateway's own

	// killGrace limits how long the program may take to exit after HUP and after TERM, and how long the client may take
	// to read the remaining output. 0: defaultKillGrace
	killGrace time.Duration
}

// Cluster is the address and credentials for a command. The program gets only the namespace, in its environment.
type Cluster struct {
	URL       string
	Namespace string      // empty: Nomad's default
	Token     string      // empty: none
	TLS       *tls.Config // for https; nil: Go's default
}

// Terminal is the client's terminal.
type Terminal struct {
	Name    string                     // TERM; "dumb" is used if it is not a valid terminal name
	Size    func() (columns, rows int) // 0: unknown
	Resized <-chan struct{}            // receives a value after each change of size; Run reads from it until it returns
	NoColor bool
}

// Check returns a one-line error if a command is refused. It runs nothing.
func (b Binary) Check(args []string) error {
	if b.Path == "" {
		return ErrNoBinary
	}
	c, err := parse(args)
	if err != nil {
		return err
	}
	return b.checkAllowed(c)
}

// Run checks a command and runs it in its own directory, environment and session. It returns the program's exit
// code, or 128 plus the number of the signal that killed it. The program's output is passed on unchanged; with a
// terminal, all of it on stdout. An error means that the program did not run, was killed, or that its output was not
// delivered. If there is then no exit code, the code is -1.
//
// stdin may be nil, the program may leave it unread, and it may never end: Run returns when the program has exited.
// A Read of stdin that is still waiting is abandoned, and its data is lost. With a terminal, the end of stdin is not
// passed on.
//
// When ctx ends, the program and its children receive HUP, then TERM, then KILL, within ten seconds in total. When
// the program exits, the rest of its process group is killed. When Run returns, nothing else is left, except processes
// that left the group, and a Read of stdin or a Write that does not return.
func (b Binary) Run(
	ctx context.Context, c Cluster, args []string, stdin io.Reader, stdout, stderr io.Writer, t *Terminal,
) (code int, err error) {
	if err := b.Check(args); err != nil {
		return -1, err
	}
	return b.run(ctx, c, args, stdin, stdout, stderr, t)
}
