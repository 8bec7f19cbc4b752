package agent

import (
	"encoding/json"
	"io"
)

// logFrame is a chunk of a log. Offset is the position in the file after the chunk, with the exceptions described at
// add.
type logFrame struct {
	Data      []byte `json:",omitempty"`
	File      string `json:",omitempty"`
	FileEvent string `json:",omitempty"`
	Offset    int64  `json:",omitempty"`
}

// maxFrameSize is the maximum number of bytes in a frame.
const maxFrameSize = 64 << 10

// framer collects log data into frames, with the same sizes and offsets as Nomad.
type framer struct {
	w           io.Writer
	flushOutput func() error
	plain       bool
	open        bool // the frame has a file, but not necessarily data
	frame       logFrame
	data        []byte
}

// add adds data from a file, where offset is the position after it. A frame keeps the offset of the first data in it.
// A full frame is sent immediately, and the offset of the next frame is larger by the length of the full one.
// Therefore the offset of the last frame of a long log can exceed the size of the file.
func (f *framer) add(file, event string, data []byte, offset int64) error {
	if f.open && (f.frame.File != file || f.frame.FileEvent != event) {
		if err := f.flush(); err != nil {
			return err
		}
	}
	if !f.open {
		f.open, f.frame = true, logFrame{File: file, FileEvent: event, Offset: offset}
	}
	f.data = append(f.data, data...)
	for first := len(f.data) == 0 && event != ""; len(f.data) >= maxFrameSize || first; first = false {
		n := min(len(f.data), maxFrameSize)
		f.frame.Data = f.data[:n]
		if err := f.write(f.frame); err != nil {
			return err
		}
		f.frame.Offset += int64(n)
		f.data = append([]byte(nil), f.data[n:]...)
	}
	return nil
}

// flush sends the current frame.
func (f *framer) flush() error {
	if !f.open {
		return nil
	}
	f.frame.Data = f.data
	err := f.write(f.frame)
	f.open, f.data = false, f.data[:0]
	return err
}

// finish sends the remaining data of a log that is not followed.
func (f *framer) finish() error {
	if len(f.data) == 0 {
		return nil
	}
	return f.flush()
}

// heartbeat sends an empty frame, which detects a disconnected client.
func (f *framer) heartbeat() error { return f.write(logFrame{}) }

func (f *framer) write(frame logFrame) error {
	out := frame.Data
	if !f.plain {
		out, _ = json.Marshal(frame)
	}
	if _, err := f.w.Write(out); err != nil {
		return err
	}
	return f.flushOutput()
}
