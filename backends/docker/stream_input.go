package docker

import (
	"io"
	"sync/atomic"

	"nomadctld/backends"
)

// input is what goes into a stream. It has no Close method, which go-dockerclient would call.
type input struct {
	source     io.Reader
	terminal   bool            // the end is typed, because a terminal has no other
	eofKey     byte            // with what; 0: nothing
	ready      <-chan struct{} // closed when the input may be read; nil: it may
	streamDone <-chan struct{} // closed when the stream is not needed any more
	refused    func() bool     // asked before anything is read: the daemon has not agreed to the stream. May be nil
	fail       func(error)     // reports a panic
	sent       atomic.Bool

	detachKeys []byte      // with which Docker lets go of it; nil: none
	matched    int         // so many of them were the last that was sent
	detached   atomic.Bool // all of them have been
}

// Read is for the interface only: io.Copy prefers WriteTo.
func (i *input) Read(p []byte) (int, error) { return i.source.Read(p) }

const ctrlD = 4

// WriteTo copies until the end of either side. The buffer is small as long as little comes. go-dockerclient passes on the end
// of the input whatever it returns; so where the input broke off it stays until the stream is over.
func (i *input) WriteTo(w io.Writer) (written int64, err error) {
	panicked := backends.Protect(func() error {
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
	buffers := &smallBuffers
	buffer := buffers.Get().(*[]byte)
	defer func() { buffers.Put(buffer) }()
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
		if wanted := poolFor(n, len(*buffer)); wanted != buffers {
			buffers.Put(buffer)
			buffers = wanted
			buffer = buffers.Get().(*[]byte)
		}
	}
}

// typeEOF types the key for it, ^D mostly, which at the beginning of a line is the end, and in the middle of one only passes that line on.
func (i *input) typeEOF(w io.Writer, last byte) error {
	if !i.terminal || i.eofKey == 0 {
		return nil
	}
	end := []byte{i.eofKey, i.eofKey}
	if last == '\n' || last == '\r' || last == i.eofKey {
		end = end[:1]
	}
	_, err := w.Write(end)
	return err
}

// matchKeys looks for the keys in what is sent, as Docker does: one that breaks off the keys is not looked at as their first.
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
