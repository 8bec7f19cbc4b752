package docker

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
)

// demuxer splits Docker's output of a container without a terminal into stdout and stderr. It consists of frames with
// an 8-byte header: the first byte is the stream, the last four are the length. With a terminal, everything is stdout.
type demuxer struct {
	raw     bool
	outputs [2]io.Writer // stdout, stderr

	header    [8]byte
	headerLen int    // bytes of header received
	frameLeft uint32 // bytes of the frame not received yet
}

var errFrame = errors.New("the stream has an invalid frame")

// demux writes the data in p in order and in as few writes as possible. Adjacent frames of one stream are merged in p
// itself, which is faster than a write for each.
func (f *demuxer) demux(p []byte) error {
	if f.raw {
		return writeAll(f.outputs[0], p)
	}
	from, to, stream := 0, 0, -1 // p[from:to] belongs to this stream and is not written yet
	for at := 0; at < len(p); {
		if f.frameLeft == 0 {
			n := copy(f.header[f.headerLen:], p[at:])
			f.headerLen += n
			at += n
			if f.headerLen < len(f.header) {
				break
			}
			f.headerLen = 0
			if f.header[0] > 2 || f.header[1]|f.header[2]|f.header[3] != 0 {
				return cmp.Or(f.flush(stream, p[from:to]), errFrame)
			}
			f.frameLeft = binary.BigEndian.Uint32(f.header[4:])
			continue
		}
		n := int(min(uint64(f.frameLeft), uint64(len(p)-at)))
		of := 0
		if f.header[0] == 2 {
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
		f.frameLeft -= uint32(n)
	}
	return f.flush(stream, p[from:to])
}

func (f *demuxer) flush(stream int, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	return writeAll(f.outputs[stream], p)
}

// complete reports whether the data received so far ends with a complete frame.
func (f *demuxer) complete() bool { return f.frameLeft == 0 && f.headerLen == 0 }

func writeAll(w io.Writer, p []byte) error {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		return io.ErrShortWrite
	}
	return err
}
