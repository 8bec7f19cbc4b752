// Package nomadcli runs the nomad binary for users who may use it as it is. The binary would go wherever an argument
// sends it, with a token that is not the user's, and would read and write this machine's files for them. So a table
// (table.go) says which commands and flags may be run at all, and what is run gets a directory, an environment and
// a session of its own, and leaves nothing behind. It reaches the cluster through a proxy (proxy.go), which alone has the
// token.
package nomadcli

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
)

// ErrNoBinary is the error where no binary is configured.
var ErrNoBinary = errors.New("there is no nomad binary here: an administrator names one with general.nomadbinary")

// Binary is a nomad binary and the rules under which it is run.
type Binary struct {
	Path  string   // absolute; empty: none, see ErrNoBinary
	Allow []string // beginnings of commands, such as "job status", that alone may be run; nil: all that are not refused
	User  string   // whom a gateway that is root runs it as; empty, or not root: as the gateway itself

	killGrace graceDuration // 0: the usual
}

// Cluster is where a command goes, and with what. The program gets the namespace, in its environment, and nothing else.
type Cluster struct {
	URL       string
	Namespace string      // empty: Nomad's own default
	Token     string      // empty: none
	TLS       *tls.Config // for https; nil: Go's own
}

// Terminal is the client's terminal.
type Terminal struct {
	Name    string                     // TERM; one that cannot be a terminal's name becomes dumb
	Size    func() (columns, rows int) // 0: unknown
	Resized <-chan struct{}            // gets a value after a change of size. Run reads from it until it returns
	NoColor bool
}

// Check says why a command may not be run, in one line; nil: it may. Nothing is run for it.
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

// Run checks a command and runs it in a directory, an environment and a session of its own. It returns the program's
// exit code, or 128 and the number of the signal that ended it. The program's bytes pass as they are: apart without a
// terminal, and with one as the terminal's, all on stdout. An error means that the program did not run or was
// not left to its end, or that its output did not arrive; the code is then -1 if there is none.
//
// stdin may be nil, may be left unread by the program, and may never end: Run returns when the program has ended. A Read
// that waits then is abandoned, and what it still gets is lost. With a terminal the end of stdin is not passed on.
//
// When ctx ends, the program and its children are sent HUP, then TERM, then KILL, within ten seconds in all. Children
// that outlive the program are killed with it. Of what Run started nothing is left when it returns, but a Read of stdin
// or a Write that does not return.
func (b Binary) Run(ctx context.Context, c Cluster, args []string, stdin io.Reader, stdout, stderr io.Writer, t *Terminal) (code int, err error) {
	if err := b.Check(args); err != nil {
		return -1, err
	}
	return b.run(ctx, c, args, stdin, stdout, stderr, t)
}
