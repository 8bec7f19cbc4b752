package docker

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
)

// demuxer splits Docker's output of a container without a terminal into stdout and stderr. The output consists of
// frames with an 8-byte header: the first byte is the stream type, the last four are the length. With a terminal,
// everything is stdout.
type demuxer struct {
	raw     bool
	outputs [2]io.Writer // stdout, stderr

	header    [8]byte
	headerLen int    // bytes of header received
	frameLeft uint32 // bytes of the frame not received yet
}

var errFrame = errors.New("the stream has an invalid frame")

// demux writes the data in p in order and in as few writes as possible. Adjacent frames of one output are merged in p
// itself, which is faster than a write for each.
func (d *demuxer) demux(p []byte) error {
	if d.raw {
		return writeAll(d.outputs[0], p)
	}
	from, to, output := 0, 0, -1 // p[from:to] belongs to this output and is not written yet
	for at := 0; at < len(p); {
		if d.frameLeft == 0 {
			n := copy(d.header[d.headerLen:], p[at:])
			d.headerLen += n
			at += n
			if d.headerLen < len(d.header) {
				break
			}
			d.headerLen = 0
			if d.header[0] > 2 || d.header[1]|d.header[2]|d.header[3] != 0 {
				return cmp.Or(d.flush(output, p[from:to]), errFrame)
			}
			d.frameLeft = binary.BigEndian.Uint32(d.header[4:])
			continue
		}
		n := int(min(uint64(d.frameLeft), uint64(len(p)-at)))
		frameOutput := 0
		if d.header[0] == 2 {
			frameOutput = 1
		}
		if frameOutput != output {
			if err := d.flush(output, p[from:to]); err != nil {
				return err
			}
			from, to, output = at, at, frameOutput
		}
		to += copy(p[to:], p[at:at+n])
		at += n
		d.frameLeft -= uint32(n)
	}
	return d.flush(output, p[from:to])
}

func (d *demuxer) flush(output int, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	return writeAll(d.outputs[output], p)
}

// complete reports whether the data received so far ends with a complete frame.
func (d *demuxer) complete() bool { return d.frameLeft == 0 && d.headerLen == 0 }

// writeAll writes p and returns io.ErrShortWrite for a short write.
func writeAll(w io.Writer, p []byte) error {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		return io.ErrShortWrite
	}
	return err
}
