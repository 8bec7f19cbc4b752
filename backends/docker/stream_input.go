package docker

import (
	"io"
	"sync/atomic"

	"nomadctld/backends"
)

// input is what goes into a stream. It has no Close method, which go-dockerclient would call.
type input struct {
	from     io.Reader
	terminal bool            // the end is typed, because a terminal has no other
	eof      byte            // with what; 0: nothing
	begin    <-chan struct{} // closed when the input may be read; nil: it may
	over     <-chan struct{} // closed when the stream is not needed any more
	refused  func() bool     // asked before anything is read: the daemon has not agreed to the stream. May be nil
	fail     func(error)     // reports a panic
	sent     atomic.Bool

	keys    []byte      // with which Docker lets go of it; nil: none
	typed   int         // so many of them were the last that was sent
	pressed atomic.Bool // all of them have been
}

// Read is for the interface only: io.Copy prefers WriteTo.
func (i *input) Read(p []byte) (int, error) { return i.from.Read(p) }

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
		<-i.over
		return written, panicked
	}
	return written, err
}

func (i *input) copy(w io.Writer) (written int64, err error) {
	if i.refused != nil && i.refused() {
		return 0, nil
	}
	if i.begin != nil {
		select {
		case <-i.begin:
		case <-i.over:
			return 0, nil
		}
	}
	buffers := &smallBuffers
	buffer := buffers.Get().(*[]byte)
	defer func() { buffers.Put(buffer) }()
	last := byte('\n')
	for {
		n, err := i.from.Read(*buffer)
		if n > 0 {
			i.sent.Store(true)
			last = (*buffer)[n-1]
			i.press((*buffer)[:n])
			m, err := w.Write((*buffer)[:n])
			written += int64(m)
			if err != nil {
				return written, err
			}
		}
		if err == io.EOF {
			return written, i.typeEnd(w, last)
		}
		if err != nil {
			<-i.over
			return written, err
		}
		if wanted := sized(n, len(*buffer)); wanted != buffers {
			buffers.Put(buffer)
			buffers = wanted
			buffer = buffers.Get().(*[]byte)
		}
	}
}

// typeEnd types the key for it, ^D mostly, which at the beginning of a line is the end, and in the middle of one only passes that line on.
func (i *input) typeEnd(w io.Writer, last byte) error {
	if !i.terminal || i.eof == 0 {
		return nil
	}
	end := []byte{i.eof, i.eof}
	if last == '\n' || last == '\r' || last == i.eof {
		end = end[:1]
	}
	_, err := w.Write(end)
	return err
}

// press looks for the keys in what is sent, as Docker does: one that breaks off the keys is not looked at as their first.
func (i *input) press(p []byte) {
	for _, key := range p {
		if i.typed == len(i.keys) {
			return
		}
		if key != i.keys[i.typed] {
			i.typed = 0
		} else if i.typed++; i.typed == len(i.keys) {
			i.pressed.Store(true)
		}
	}
}
