package sim

import (
	"encoding/json"
	"net/http"
)

// logFrame is a piece of a log. Offset is where in its file the next one would begin: see send.
type logFrame struct {
	Data      []byte `json:",omitempty"`
	File      string `json:",omitempty"`
	FileEvent string `json:",omitempty"`
	Offset    int64  `json:",omitempty"`
}

// maxFrameSize is the most that a frame holds.
const maxFrameSize = 64 << 10

// framer gathers what is read into frames, as large and as odd as those of Nomad.
type framer struct {
	w     http.ResponseWriter
	plain bool
	open  bool // the frame has a file, though not always data
	frame logFrame
	data  []byte
}

// add adds what was read of a file, up to an offset. A frame keeps the offset of the first read that went into it. A
// full one goes out at once, and the next is taken to end as far behind it as the full one was long: the last frame of
// a long log says more than the file has.
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

// flush sends what there is.
func (f *framer) flush() error {
	if !f.open {
		return nil
	}
	f.frame.Data = f.data
	err := f.write(f.frame)
	f.open, f.data = false, f.data[:0]
	return err
}

// finish sends what is left at the end of a log that is not followed.
func (f *framer) finish() error {
	if len(f.data) == 0 {
		return nil
	}
	return f.flush()
}

// heartbeat sends a frame by which a client that left is noticed.
func (f *framer) heartbeat() error { return f.write(logFrame{}) }

func (f *framer) write(frame logFrame) error {
	out := frame.Data
	if !f.plain {
		out, _ = json.Marshal(frame)
	}
	if _, err := f.w.Write(out); err != nil {
		return err
	}
	return http.NewResponseController(f.w).Flush()
}
