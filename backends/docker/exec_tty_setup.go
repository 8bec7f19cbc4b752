package docker

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"nomadctld/backends"
)

// ttySetupScript runs in the container's shell, sets the size and modes of the terminal and then execs the program.
// Before API 1.42 Docker accepts a size only once the program runs, and it never accepts modes.
//
//go:embed exec_tty_setup.sh
var ttySetupScript string

// errNoSetupShell: the container has no shell for the script. Nothing was run.
var errNoSetupShell = errors.New("the container has no shell to set up the terminal")

// ttySetup is the output of a stream while ttySetupScript runs. It drops everything up to the marker and passes on the
// rest, which is the output of the program.
type ttySetup struct {
	stdout io.Writer
	marker []byte
	argv   []string

	started  chan struct{} // closed when the marker was received
	state    byte          // the digit after the marker; 0: no marker yet
	buffered []byte        // output that may contain the start of the marker
}

const (
	setupDone          = '0'
	setupNotExecutable = '6'
	setupNotFound      = '7'
)

// newTTYSetup returns the setup for a program, or nil if its terminal needs none.
func newTTYSetup(p backends.Program) *ttySetup {
	if p.Terminal == nil {
		return nil
	}
	size := ""
	if columns, rows := p.Terminal.Size(); columns > 0 && rows > 0 {
		size = fmt.Sprintf("rows %d cols %d", rows, columns)
	}
	chars, flags := p.Modes.Stty()
	if size+chars+flags == "" {
		return nil
	}
	// Digits only: a terminal may change letters.
	digits, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	marker := fmt.Sprintf("%030d", digits)
	// No container and no user sets variables with these random names.
	script := strings.ReplaceAll(ttySetupScript, "nomadctld_", "nomadctld"+marker[:8]+"_")
	return &ttySetup{
		stdout: p.Stdout, marker: []byte("\x01" + marker), started: make(chan struct{}),
		argv: append([]string{"/bin/sh", "-c", script, "sh", marker, size, chars, flags}, p.Argv...),
	}
}

func (p *ttySetup) Write(b []byte) (int, error) {
	switch p.state {
	case setupDone:
		return p.stdout.Write(b)
	case 0:
	default:
		return len(b), nil
	}
	p.buffered = append(p.buffered, b...)
	whole := len(p.marker) + 2
	at := bytes.Index(p.buffered, p.marker)
	switch {
	case at < 0:
		p.buffered = p.buffered[max(0, len(p.buffered)-whole):]
		return len(b), nil
	case len(p.buffered) < at+whole:
		return len(b), nil
	}
	rest := p.buffered[at+whole:]
	p.state, p.buffered = p.buffered[at+whole-2], nil
	close(p.started)
	if p.state == setupDone && len(rest) > 0 {
		if n, err := p.stdout.Write(rest); err != nil || n < len(rest) {
			return 0, errors.Join(err, io.ErrShortWrite)
		}
	}
	return len(b), nil
}

// check returns why the exit code is not the program's, or nil if it is. The stream must have ended. Only
// after errNoSetupShell may the program be started again.
func (p *ttySetup) check(name string, shellStarted bool) error {
	switch {
	case p.state == setupNotExecutable:
		err := fmt.Errorf("%s: not executable in the container", displayName(name))
		return &kindError{err, backends.ErrNotExecutable}
	case p.state == setupNotFound:
		err := fmt.Errorf("%s: program not found in the container", displayName(name))
		return &kindError{err, backends.ErrProgramNotFound}
	case p.state == 0 && !shellStarted:
		return errNoSetupShell
	case p.state == 0:
		return fmt.Errorf("the container's shell did not report that it started %[1]s: %[1]s may or may not have run",
			displayName(name))
	case !shellStarted:
		return fmt.Errorf("the Docker daemon reports that the shell for %[1]s was not started, but that shell did run: "+
			"the exit code of %[1]s is unknown", displayName(name))
	}
	return nil
}

var identifierPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// shellsPassOn reports whether every shell passes all variables (K=V) on to its children. dash and busybox drop
// variables whose names are not identifiers, such as spring.profile.
func shellsPassOn(env []string) bool {
	return !slices.ContainsFunc(env, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !identifierPattern.MatchString(name)
	})
}
