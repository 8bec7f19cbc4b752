package nomad

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"nomadctld/backends"
)

// outputs are the writers for a program's stdout and stderr. With the wrapper they are filters, else direct.
type outputs struct {
	stdout, stderr io.Writer
	filters        []*markerFilter
	direct         *directOutput
}

// newOutputs returns the writers for Nomad's output. The markers in it update r.
func (r *programState) newOutputs(p backends.Program, w *wrappedCommand) outputs {
	onError := func(err error) {
		select {
		case r.outputErr <- err:
		default:
		}
	}
	if w == nil {
		out := &directOutput{dst: p.Stdout, onError: onError}
		errs := &directOutput{dst: p.Stderr, onError: onError, accepted: true}
		if p.Terminal != nil {
			errs = out
		}
		return outputs{stdout: out, stderr: errs, direct: out}
	}
	var mu sync.Mutex
	open := 2 // streams whose end marker has not arrived; guarded by mu
	onEnd := func(code int) {
		mu.Lock()
		defer mu.Unlock()
		r.exitCode = code
		if open--; open == 0 {
			close(r.exited)
		}
	}
	out := newMarkerFilter(p.Stdout, w.marker)
	out.onStart = func(state byte, processes string) {
		r.startState = state
		r.parentPID, r.shellPID, r.framed = strings.Cut(processes, ".")
		if !r.framed {
			r.shellPID = r.parentPID
		}
		close(r.started)
		if state == 'R' {
			close(r.running)
		}
	}
	out.onEnd, out.onError = onEnd, onError
	if p.Terminal != nil {
		open = 1
		return outputs{stdout: out, stderr: out, filters: []*markerFilter{out}}
	}
	errs := newMarkerFilter(p.Stderr, w.marker)
	errs.onEnd, errs.onError = onEnd, onError
	return outputs{stdout: out, stderr: errs, filters: []*markerFilter{out, errs}}
}

// flush writes the buffered output.
func (o outputs) flush() {
	for _, f := range o.filters {
		f.flush()
	}
}

// mute drops all further output. It does not wait for writes in progress.
func (o outputs) mute() {
	for _, f := range o.filters {
		f.muted.Store(true)
	}
	for _, w := range []io.Writer{o.stdout, o.stderr} {
		if w, ok := w.(*directOutput); ok {
			w.muted.Store(true)
		}
	}
}

// preamble returns the output of a wrapper that has not started the program.
func (o outputs) preamble() []byte {
	var all []byte
	for _, f := range o.filters {
		all = append(all, f.outputBeforeStart()...)
	}
	return all
}

// directOutput writes the output of a program that runs without the wrapper. If Docker cannot start a program, it
// writes an error message instead of the program's output. directOutput does not forward that.
type directOutput struct {
	dst     io.Writer
	onError func(error)

	mu          sync.Mutex
	accepted    bool   // the output is not Docker's message; guarded by mu
	buffered    []byte // the output before accepted; guarded by mu
	writeFailed bool   // guarded by mu
	muted       atomic.Bool
}

// dockerExecError is the start of Docker's message.
const dockerExecError = "OCI runtime exec failed"

// Write always succeeds, like markerFilter.Write.
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

// forward writes b to dst. The caller holds mu.
func (w *directOutput) forward(b []byte) {
	if len(b) == 0 || w.writeFailed || w.muted.Load() {
		return
	}
	if _, err := w.dst.Write(b); err != nil {
		w.writeFailed = true
		w.onError(err)
	}
}

// finish returns Docker's message if the program could not start. Otherwise it forwards the buffered output and
// returns nil.
func (w *directOutput) finish(code int) (startError []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if (code == 126 || code == 127) && bytes.HasPrefix(w.buffered, []byte(dockerExecError)) {
		return w.buffered
	}
	w.forward(w.buffered)
	w.buffered = nil
	return nil
}
