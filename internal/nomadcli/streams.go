//go:build linux

package nomadcli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// streams are both ends of what a program reads and writes.
type streams struct {
	child    [3]*os.File // the program's
	in       *os.File    // ours, as are these; all three are the terminal if there is one
	out, err *os.File    // err is nil with a terminal
	terminal bool

	programExited chan struct{} // closed when nobody watches for a change of size any more
	copying       sync.WaitGroup
	mu            sync.Mutex
	outputErr     error // the first output that did not arrive
}

func openStreams(t *Terminal) (*streams, error) {
	s := &streams{terminal: t != nil, programExited: make(chan struct{})}
	var err error
	if t != nil {
		s.in, s.child[0], err = openTerminal(t)
		s.out, s.child[1], s.child[2] = s.in, s.child[0], s.child[0]
	} else {
		pipe := func(r, w **os.File) {
			if err == nil {
				*r, *w, err = os.Pipe()
			}
		}
		pipe(&s.child[0], &s.in)
		pipe(&s.out, &s.child[1])
		pipe(&s.err, &s.child[2])
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("streams for nomad: %w", err)
	}
	return s, nil
}

// startCopying begins to copy, once the program has its ends.
func (s *streams) startCopying(stdin io.Reader, stdout, stderr io.Writer, t *Terminal) {
	for _, f := range s.child {
		f.Close() // what the program holds is its own
	}
	go func() {
		if stdin != nil {
			if _, err := io.Copy(s.in, stdin); err != nil {
				return // input that broke off has no end; else nobody reads, or in is closed already
			}
		}
		if !s.terminal {
			s.in.Close()
		}
	}()
	s.copying.Go(func() { s.copyOutput(stdout, s.out) })
	if s.err != nil {
		s.copying.Go(func() { s.copyOutput(stderr, s.err) })
	}
	if t != nil {
		s.copying.Go(func() { forwardResizes(s.in, t, s.programExited) })
	}
}

// copyOutput copies until all that could write has ended. A deadline that passes twice in a row means that somebody who is
// not the program's holds the other end.
func (s *streams) copyOutput(to io.Writer, from *os.File) {
	buf := make([]byte, 32<<10)
	for late := 0; late < 2; {
		n, err := from.Read(buf)
		if n > 0 {
			late = 0
			if _, err := to.Write(buf[:n]); err != nil {
				s.setOutputErr(err)
				if !s.terminal {
					from.Close() // the program is to notice
				}
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			late++
			from.SetReadDeadline(time.Now().Add(defaultKillGrace / 2))
		default: // the end; of a terminal it is an error
			return
		}
	}
}

func (s *streams) setOutputErr(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outputErr == nil {
		s.outputErr = fmt.Errorf("the output of nomad was not taken: %w", err)
	}
}

// drain waits, after the program's end, until its output has arrived; after the end of ctx only as long as patience.
func (s *streams) drain(ctx context.Context, patience graceDuration) error {
	close(s.programExited)
	for _, f := range []*os.File{s.out, s.err} {
		if f != nil {
			f.SetReadDeadline(time.Now().Add(defaultKillGrace / 2))
		}
	}
	done := make(chan struct{})
	go func() {
		s.copying.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		select {
		case <-done:
		case <-time.After(patience):
			s.setOutputErr(context.Cause(ctx))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outputErr
}

// close may be called again.
func (s *streams) close() {
	for _, f := range append(s.child[:], s.in, s.out, s.err) {
		if f != nil {
			f.Close()
		}
	}
}
