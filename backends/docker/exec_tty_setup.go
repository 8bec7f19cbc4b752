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

// ttySetupScript is what a container's shell does before it becomes a program with a terminal. Docker takes the terminal's
// size only once the program runs, before version 1.42 of its API, and no modes at all.
//
//go:embed exec_tty_setup.sh
var ttySetupScript string

// errNoSetupShell: the container has no shell that could run the script. Nothing has been run.
var errNoSetupShell = errors.New("there is no shell in the container to set the terminal up")

// ttySetup is the script on its way to becoming the program. It is the stream's output until then: it passes on what comes
// behind the mark.
type ttySetup struct {
	stdout io.Writer
	mark   []byte
	argv   []string

	started  chan struct{} // closed when the mark has come
	state    byte          // of the mark; 0: it has not come
	buffered []byte        // the end of what has come before the mark
}

const (
	setupRuns          = '0'
	setupNotExecutable = '6'
	setupNotFound      = '7'
)

// newTTYSetup returns the prelude of a program, or nil if its terminal needs none.
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
	digits, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil)) // letters may change on a terminal
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	mark := fmt.Sprintf("%030d", digits)
	// Neither the container nor the user has variables of such names in an environment, where they would change.
	script := strings.ReplaceAll(ttySetupScript, "nomadctld_", "nomadctld"+mark[:8]+"_")
	return &ttySetup{
		stdout: p.Stdout, mark: []byte("\x01" + mark), started: make(chan struct{}),
		argv: append([]string{"/bin/sh", "-c", script, "sh", mark, size, chars, flags}, p.Argv...),
	}
}

func (p *ttySetup) Write(b []byte) (int, error) {
	switch p.state {
	case setupRuns:
		return p.stdout.Write(b)
	case 0:
	default:
		return len(b), nil
	}
	p.buffered = append(p.buffered, b...)
	whole := len(p.mark) + 2
	at := bytes.Index(p.buffered, p.mark)
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
	if p.state == setupRuns && len(rest) > 0 {
		if n, err := p.stdout.Write(rest); err != nil || n < len(rest) {
			return 0, errors.Join(err, io.ErrShortWrite)
		}
	}
	return len(b), nil
}

// check returns why the exit code is not that of the program; nil: it is. shell reports whether the shell was started.
// The stream has ended. Only errNoSetupShell allows to start the program again.
func (p *ttySetup) check(name string, shell bool) error {
	switch {
	case p.state == setupNotExecutable:
		return fmt.Errorf("%s: %w in the container", displayName(name), backends.ErrNotExecutable)
	case p.state == setupNotFound:
		return fmt.Errorf("%s: %w in the container", displayName(name), backends.ErrProgramNotFound)
	case p.state == 0 && !shell:
		return errNoSetupShell
	case p.state == 0:
		return fmt.Errorf("the shell in the container did not report that it starts %[1]s: whether %[1]s has run is not known", displayName(name))
	case !shell:
		return fmt.Errorf("the docker daemon reports that the shell which started %[1]s was not started: what became of %[1]s is not known", displayName(name))
	}
	return nil
}

var identifierPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// shellsKeep reports whether every shell passes all variables (K=V) on to what it starts. dash and busybox drop those
// whose names are not identifiers, such as spring.profile.
func shellsKeep(env []string) bool {
	return !slices.ContainsFunc(env, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !identifierPattern.MatchString(name)
	})
}
