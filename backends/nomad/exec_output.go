package nomad

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"nomadctld/backends"
)

// outputs are the two streams of a program on their way to the user.
type outputs struct {
	stdout, stderr io.Writer
	strained       []*strainer
	plain          *plain
}

// outputs returns where Nomad's output goes, and makes r know what comes of the program.
func (r *running) outputs(p backends.Program, s *shell) outputs {
	failed := func(err error) {
		select {
		case r.broken <- err:
		default:
		}
	}
	if s == nil {
		out := &plain{to: p.Stdout, failed: failed}
		errs := &plain{to: p.Stderr, failed: failed, sure: true}
		if p.Terminal != nil {
			errs = out
		}
		return outputs{stdout: out, stderr: errs, plain: out}
	}
	var mu sync.Mutex
	missing := 2
	end := func(code int) {
		mu.Lock()
		defer mu.Unlock()
		r.code = code
		if missing--; missing == 0 {
			close(r.ended)
		}
	}
	out := newStrainer(p.Stdout, s.mark)
	out.started = func(state byte, processes string) {
		r.state = state
		r.pid, r.shell, r.framed = strings.Cut(processes, ".")
		if !r.framed {
			r.shell = r.pid
		}
		close(r.began)
		if state == 'R' {
			close(r.runs)
		}
	}
	out.end, out.failed = end, failed
	if p.Terminal != nil {
		missing = 1
		return outputs{stdout: out, stderr: out, strained: []*strainer{out}}
	}
	errs := newStrainer(p.Stderr, s.mark)
	errs.end, errs.failed = end, failed
	return outputs{stdout: out, stderr: errs, strained: []*strainer{out, errs}}
}

// finish passes on what was held back.
func (o outputs) finish() {
	for _, s := range o.strained {
		s.finish()
	}
}

// stop lets nothing more through; what is on its way is not waited for.
func (o outputs) stop() {
	for _, s := range o.strained {
		s.off.Store(true)
	}
	for _, w := range []io.Writer{o.stdout, o.stderr} {
		if w, ok := w.(*plain); ok {
			w.off.Store(true)
		}
	}
}

// junk is what came before the program's own output.
func (o outputs) junk() []byte {
	var junk []byte
	for _, s := range o.strained {
		junk = append(junk, s.before()...)
	}
	return junk
}

// plain is the output of a program that runs without the shell. What Docker says in place of a program that it cannot
// start is not passed on.
type plain struct {
	to     io.Writer
	failed func(error)

	mu     sync.Mutex
	sure   bool   // it is the program's
	held   []byte // until then
	broken bool
	off    atomic.Bool
}

// refused is what Docker's output begins with then.
const refused = "OCI runtime exec failed"

func (w *plain) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.sure {
		w.held = append(w.held, b...)
		n := min(len(w.held), len(refused))
		if len(w.held) <= mostJunk && string(w.held[:n]) == refused[:n] {
			return len(b), nil
		}
		w.sure = true
		w.pass(w.held)
		w.held = nil
		return len(b), nil
	}
	w.pass(b)
	return len(b), nil
}

func (w *plain) pass(b []byte) {
	if len(b) == 0 || w.broken || w.off.Load() {
		return
	}
	if _, err := w.to.Write(b); err != nil {
		w.broken = true
		w.failed(err)
	}
}

// finish returns why the program was not started, or nil if it was; what was held back is its output then.
func (w *plain) finish(code int) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if (code == 126 || code == 127) && bytes.HasPrefix(w.held, []byte(refused)) {
		return w.held
	}
	w.pass(w.held)
	w.held = nil
	return nil
}
