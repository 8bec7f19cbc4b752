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
	filters        []*markerFilter
	direct         *directOutput
}

// newOutputs returns where Nomad's output goes, and makes r know what comes of the program.
func (r *programState) newOutputs(p backends.Program, s *wrappedCommand) outputs {
	failed := func(err error) {
		select {
		case r.outputErr <- err:
		default:
		}
	}
	if s == nil {
		out := &directOutput{dst: p.Stdout, onError: failed}
		errs := &directOutput{dst: p.Stderr, onError: failed, accepted: true}
		if p.Terminal != nil {
			errs = out
		}
		return outputs{stdout: out, stderr: errs, direct: out}
	}
	var mu sync.Mutex
	missing := 2
	end := func(code int) {
		mu.Lock()
		defer mu.Unlock()
		r.exitCode = code
		if missing--; missing == 0 {
			close(r.exited)
		}
	}
	out := newMarkerFilter(p.Stdout, s.marker)
	out.onStart = func(state byte, processes string) {
		r.startState = state
		r.pid, r.shellPID, r.framed = strings.Cut(processes, ".")
		if !r.framed {
			r.shellPID = r.pid
		}
		close(r.started)
		if state == 'R' {
			close(r.running)
		}
	}
	out.onEnd, out.onError = end, failed
	if p.Terminal != nil {
		missing = 1
		return outputs{stdout: out, stderr: out, filters: []*markerFilter{out}}
	}
	errs := newMarkerFilter(p.Stderr, s.marker)
	errs.onEnd, errs.onError = end, failed
	return outputs{stdout: out, stderr: errs, filters: []*markerFilter{out, errs}}
}

// flush passes on what was held back.
func (o outputs) flush() {
	for _, s := range o.filters {
		s.flush()
	}
}

// mute lets nothing more through; what is on its way is not waited for.
func (o outputs) mute() {
	for _, s := range o.filters {
		s.muted.Store(true)
	}
	for _, w := range []io.Writer{o.stdout, o.stderr} {
		if w, ok := w.(*directOutput); ok {
			w.muted.Store(true)
		}
	}
}

// preamble is what came before the program's own output.
func (o outputs) preamble() []byte {
	var junk []byte
	for _, s := range o.filters {
		junk = append(junk, s.unstartedOutput()...)
	}
	return junk
}

// directOutput is the output of a program that runs without the shell. What Docker says in place of a program that it cannot
// start is not passed on.
type directOutput struct {
	dst     io.Writer
	onError func(error)

	mu          sync.Mutex
	accepted    bool   // it is the program's
	buffered    []byte // until then
	writeFailed bool
	muted       atomic.Bool
}

// dockerExecError is what Docker's output begins with then.
const dockerExecError = "OCI runtime exec failed"

func (w *directOutput) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.accepted {
		w.buffered = append(w.buffered, b...)
		n := min(len(w.buffered), len(dockerExecError))
		if len(w.buffered) <= maxPreamble && string(w.buffered[:n]) == dockerExecError[:n] {
			return len(b), nil
		}
		w.accepted = true
		w.forward(w.buffered)
		w.buffered = nil
		return len(b), nil
	}
	w.forward(b)
	return len(b), nil
}

func (w *directOutput) forward(b []byte) {
	if len(b) == 0 || w.writeFailed || w.muted.Load() {
		return
	}
	if _, err := w.dst.Write(b); err != nil {
		w.writeFailed = true
		w.onError(err)
	}
}

// startError returns why the program was not started, or nil if it was; what was held back is its output then.
func (w *directOutput) startError(code int) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if (code == 126 || code == 127) && bytes.HasPrefix(w.buffered, []byte(dockerExecError)) {
		return w.buffered
	}
	w.forward(w.buffered)
	w.buffered = nil
	return nil
}
