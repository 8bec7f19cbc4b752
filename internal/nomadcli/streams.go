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

// streams holds both ends of a program's stdin, stdout and stderr.
type streams struct {
	child    [3]*os.File // the program's ends
	in       *os.File    // the gateway's ends; with a terminal, in and out are the terminal and err is nil
	out, err *os.File
	terminal bool

	programExited chan struct{} // closed when the program has exited
	copying       sync.WaitGroup
	mu            sync.Mutex // guards outputErr
	outputErr     error      // the first error of delivering output
}

// openStreams opens pipes, or a terminal if t is not nil.
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
		return nil, fmt.Errorf("open the streams of nomad: %w", err)
	}
	return s, nil
}

// startCopying starts to copy, after the program has inherited its ends.
func (s *streams) startCopying(stdin io.Reader, stdout, stderr io.Writer, t *Terminal) {
	for _, f := range s.child {
		f.Close() // the program has its own copies
	}
	go func() {
		if stdin != nil {
			if _, err := io.Copy(s.in, stdin); err != nil {
				return // stdin failed, so the program must not see EOF; or nobody reads s.in
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

// copyOutput copies until all writers have closed the stream. After drain has set a read deadline, it also stops when
// the deadline has expired twice without output. In that case, a process outside the program's session has the other
// end open.
func (s *streams) copyOutput(to io.Writer, from *os.File) {
	buf := make([]byte, 32<<10)
	for timeouts := 0; timeouts < 2; {
		n, err := from.Read(buf)
		if n > 0 {
			timeouts = 0
			if _, err := to.Write(buf[:n]); err != nil {
				s.setOutputErr(err)
				if !s.terminal {
					from.Close() // so that the program gets EPIPE
				}
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			timeouts++
			from.SetReadDeadline(time.Now().Add(defaultKillGrace / 2))
		default: // EOF, which is an error on a terminal
			return
		}
	}
}

func (s *streams) setOutputErr(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outputErr == nil {
		s.outputErr = fmt.Errorf("the output of nomad could not be delivered: %w", err)
	}
}

// drain waits, after the program has exited, until its output is delivered. After ctx has ended, it waits only for
// grace.
func (s *streams) drain(ctx context.Context, grace time.Duration) error {
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
		case <-time.After(grace):
			s.setOutputErr(context.Cause(ctx))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outputErr
}

// close may be called more than once.
func (s *streams) close() {
	for _, f := range append(s.child[:], s.in, s.out, s.err) {
		if f != nil {
			f.Close()
		}
	}
}
