package docker

import (
	"io"
	"sync/atomic"

	"nomadctld/internal/safego"
)

// input is the input of a stream. It has no Close method, because go-dockerclient would call it.
type input struct {
	source     io.Reader
	terminal   bool            // EOF is typed as a key
	eofKey     byte            // 0: none
	ready      <-chan struct{} // closed when input may be read; nil: at once
	streamDone <-chan struct{} // closed when the stream is finished
	refused    func() bool     // whether the daemon refused the stream; called before the first read; may be nil
	fail       func(error)     // reports a panic
	sent       atomic.Bool

	detachKeys []byte      // keys that make Docker detach; nil: none
	matched    int         // number of detach keys at the end of the input so far
	detached   atomic.Bool // all detach keys were sent
}

// Read implements io.Reader. io.Copy calls WriteTo instead.
func (i *input) Read(p []byte) (int, error) { return i.source.Read(p) }

const (
	ctrlC         = 3
	ctrlD         = 4
	ctrlBackslash = 0x1c
)

// WriteTo copies until the end of either side. It starts with a small buffer, because most input is small. After
// WriteTo returns, go-dockerclient sends EOF even after an error; so if the input fails, WriteTo waits for the end of
// the stream.
func (i *input) WriteTo(w io.Writer) (written int64, err error) {
	panicked := safego.Protect(func() error {
		written, err = i.copy(w)
		return nil
	})
	if panicked != nil {
		i.fail(panicked)
		<-i.streamDone
		return written, panicked
	}
	return written, err
}

// copy waits until the input is ready and copies it to w.
func (i *input) copy(w io.Writer) (written int64, err error) {
	if i.refused != nil && i.refused() {
		return 0, nil
	}
	if i.ready != nil {
		select {
		case <-i.ready:
		case <-i.streamDone:
			return 0, nil
		}
	}
	currentPool := &smallBuffers
	buffer := currentPool.Get().(*[]byte)
	defer func() { currentPool.Put(buffer) }()
	last := byte('\n')
	for {
		n, err := i.source.Read(*buffer)
		if n > 0 {
			i.sent.Store(true)
			last = (*buffer)[n-1]
			i.matchKeys((*buffer)[:n])
			m, err := w.Write((*buffer)[:n])
			written += int64(m)
			if err != nil {
				return written, err
			}
		}
		if err == io.EOF {
			return written, i.typeEOF(w, last)
		}
		if err != nil {
			<-i.streamDone
			return written, err
		}
		if pool := poolFor(n, len(*buffer)); pool != currentPool {
			currentPool.Put(buffer)
			currentPool = pool
			buffer = currentPool.Get().(*[]byte)
		}
	}
}

// typeEOF types the EOF key, usually ^D. In the middle of a line the first key only sends the line, so it is typed
// twice.
func (i *input) typeEOF(w io.Writer, last byte) error {
	if !i.terminal || i.eofKey == 0 {
		return nil
	}
	eofKeys := []byte{i.eofKey, i.eofKey}
	if last == '\n' || last == '\r' || last == i.eofKey {
		eofKeys = eofKeys[:1]
	}
	_, err := w.Write(eofKeys)
	return err
}

// matchKeys looks for the detach keys in the input. Like Docker, it does not treat the key that breaks a match as the
// first key of a new match.
func (i *input) matchKeys(p []byte) {
	for _, key := range p {
		if i.matched == len(i.detachKeys) {
			return
		}
		if key != i.detachKeys[i.matched] {
			i.matched = 0
		} else if i.matched++; i.matched == len(i.detachKeys) {
			i.detached.Store(true)
		}
	}
}
