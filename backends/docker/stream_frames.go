package docker

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
)

// frames takes apart what Docker sends of a container without a terminal: frames with a header of 8 bytes, the first of
// which says whether it is of stdout or stderr, and the last four how long it is. With a terminal, all is stdout.
type frames struct {
	raw bool
	to  [2]io.Writer // stdout, stderr

	head [8]byte
	have int    // bytes of head that have come
	rest uint32 // bytes of the frame that have not come
}

var errFrame = errors.New("the stream is not one of frames")

// split writes what p holds, in its order and with as few writes as possible; neighbouring frames of one stream are
// put together in p itself, which is faster than a write for each.
func (f *frames) split(p []byte) error {
	if f.raw {
		return write(f.to[0], p)
	}
	from, to, stream := 0, 0, -1 // p[from:to] is of this stream, and not written yet
	for at := 0; at < len(p); {
		if f.rest == 0 {
			n := copy(f.head[f.have:], p[at:])
			f.have += n
			at += n
			if f.have < len(f.head) {
				break
			}
			f.have = 0
			if f.head[0] > 2 || f.head[1]|f.head[2]|f.head[3] != 0 {
				return cmp.Or(f.flush(stream, p[from:to]), errFrame)
			}
			f.rest = binary.BigEndian.Uint32(f.head[4:])
			continue
		}
		n := int(min(uint64(f.rest), uint64(len(p)-at)))
		of := 0
		if f.head[0] == 2 {
			of = 1
		}
		if of != stream {
			if err := f.flush(stream, p[from:to]); err != nil {
				return err
			}
			from, to, stream = at, at, of
		}
		to += copy(p[to:], p[at:at+n])
		at += n
		f.rest -= uint32(n)
	}
	return f.flush(stream, p[from:to])
}

func (f *frames) flush(stream int, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	return write(f.to[stream], p)
}

// complete reports whether no frame has ended early.
func (f *frames) complete() bool { return f.rest == 0 && f.have == 0 }

func write(w io.Writer, p []byte) error {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		return io.ErrShortWrite
	}
	return err
}
