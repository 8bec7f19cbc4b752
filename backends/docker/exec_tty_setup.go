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

// preludeScript is what a container's shell does before it becomes a program with a terminal. Docker takes the terminal's
// size only once the program runs, before version 1.42 of its API, and no modes at all.
//
//go:embed exec_tty_setup.sh
var preludeScript string

// errNoPrelude: the container has no shell that could run the script. Nothing has been run.
var errNoPrelude = errors.New("there is no shell in the container to set the terminal up")

// prelude is the script on its way to becoming the program. It is the stream's output until then: it passes on what comes
// behind the mark.
type prelude struct {
	to   io.Writer
	mark []byte
	argv []string

	began chan struct{} // closed when the mark has come
	state byte          // of the mark; 0: it has not come
	held  []byte        // the end of what has come before the mark
}

const (
	preludeRuns      = '0'
	preludeNoExecute = '6'
	preludeNotFound  = '7'
)

// newPrelude returns the prelude of a program, or nil if its terminal needs none.
func newPrelude(p backends.Program) *prelude {
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
	script := strings.ReplaceAll(preludeScript, "nomadctld_", "nomadctld"+mark[:8]+"_")
	return &prelude{
		to: p.Stdout, mark: []byte("\x01" + mark), began: make(chan struct{}),
		argv: append([]string{"/bin/sh", "-c", script, "sh", mark, size, chars, flags}, p.Argv...),
	}
}

func (p *prelude) Write(b []byte) (int, error) {
	switch p.state {
	case preludeRuns:
		return p.to.Write(b)
	case 0:
	default:
		return len(b), nil
	}
	p.held = append(p.held, b...)
	whole := len(p.mark) + 2
	at := bytes.Index(p.held, p.mark)
	switch {
	case at < 0:
		p.held = p.held[max(0, len(p.held)-whole):]
		return len(b), nil
	case len(p.held) < at+whole:
		return len(b), nil
	}
	rest := p.held[at+whole:]
	p.state, p.held = p.held[at+whole-2], nil
	close(p.began)
	if p.state == preludeRuns && len(rest) > 0 {
		if n, err := p.to.Write(rest); err != nil || n < len(rest) {
			return 0, errors.Join(err, io.ErrShortWrite)
		}
	}
	return len(b), nil
}

// verdict returns why the exit code is not that of the program; nil: it is. shell reports whether the shell was started.
// The stream has ended. Only errNoPrelude allows to start the program again.
func (p *prelude) verdict(name string, shell bool) error {
	switch {
	case p.state == preludeNoExecute:
		return fmt.Errorf("%s: %w in the container", shown(name), backends.ErrNotExecutable)
	case p.state == preludeNotFound:
		return fmt.Errorf("%s: %w in the container", shown(name), backends.ErrProgramNotFound)
	case p.state == 0 && !shell:
		return errNoPrelude
	case p.state == 0:
		return fmt.Errorf("the shell in the container did not report that it starts %[1]s: whether %[1]s has run is not known", shown(name))
	case !shell:
		return fmt.Errorf("the docker daemon reports that the shell which started %[1]s was not started: what became of %[1]s is not known", shown(name))
	}
	return nil
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// passesOn reports whether every shell passes all variables (K=V) on to what it starts. dash and busybox drop those
// whose names are not identifiers, such as spring.profile.
func passesOn(env []string) bool {
	return !slices.ContainsFunc(env, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !identifier.MatchString(name)
	})
}
