package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// handle is an open file.
type handle interface {
	io.Writer
	io.ReaderAt
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// file appends complete lines to a file. A failed write leaves no part of its line.
//
// The end event of a command must be written even if the disk fills up while the command runs. Each running command
// therefore reserves spaceForEnd bytes after the end of the file, if the file system supports that.
type file struct {
	path          string
	open          func() (handle, error)
	onPartialLine func(part []byte) // called with a partial line that was found at the end of the file

	mu      sync.Mutex
	running map[string]int // number of start events without an end event, by session; guarded by mu
	total   int            // sum of running; guarded by mu
}

// spaceForEnd is larger than any event of encodeShort. Such an event contains names and one error text, which may grow
// sixfold when it is escaped.
const spaceForEnd = 8 << 10

// check opens the file and removes a partial line from its end.
func (f *file) check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, err := f.open()
	if err != nil {
		return err
	}
	defer h.Close()
	defer lock(h)()
	_, err = f.repair(h)
	return err
}

// appendStart appends a start event and reserves space for its end event. If durable, it syncs the file. If the sync
// fails, nothing is reserved.
func (f *file) appendStart(line []byte, session string, durable bool) error {
	h, err := f.appendStartLocked(line, session)
	if err != nil {
		return err
	}
	defer h.Close()
	if !durable {
		return nil
	}
	// Outside of the lock, so that other events do not wait for the disk.
	if err := h.Sync(); err != nil {
		f.release(session)
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

func (f *file) appendStartLocked(line []byte, session string) (handle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, err := f.open()
	if err != nil {
		return nil, err
	}
	if err := f.appendTo(h, line, int64(f.total+1)*spaceForEnd); err != nil {
		h.Close()
		return nil, err
	}
	if f.running == nil {
		f.running = map[string]int{}
	}
	f.running[session]++
	f.total++
	return h, nil
}

// append appends a line. If it is the end event of a session, it releases the reserved space.
func (f *file) append(line []byte, session string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, err := f.open()
	if err != nil {
		return err
	}
	defer h.Close()
	isEnd := session != "" && f.running[session] > 0
	others := f.total
	if isEnd {
		others--
	}
	if err := f.appendTo(h, line, int64(others)*spaceForEnd); err != nil {
		return err
	}
	if isEnd {
		f.releaseLocked(session)
	}
	return nil
}

// release releases the space for an end event that will not be written. Without a reservation, it does nothing.
func (f *file) release(session string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running[session] > 0 {
		f.releaseLocked(session)
	}
}

func (f *file) releaseLocked(session string) {
	f.total--
	if f.running[session]--; f.running[session] == 0 {
		delete(f.running, session)
	}
}

// isRunning reports whether a session has a start event but no end event.
func (f *file) isRunning(session string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running[session] > 0
}

// appendTo appends a line if the reserved number of bytes stays free after it, or returns an error. f.mu must be held.
func (f *file) appendTo(h handle, line []byte, reserved int64) error {
	defer lock(h)() // against another gateway that uses the same file
	size, err := f.repair(h)
	if err != nil {
		return err
	}
	if err := reserve(h, size, int64(len(line))+reserved); err != nil {
		return err
	}
	n, err := h.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err != nil && n > 0 {
		// If log rotation truncated the file in between (copytruncate), Truncate would extend it with zeros.
		if now, failed := sizeOf(h); failed != nil || now != size+int64(n) {
			return errors.Join(err, failed)
		}
		if failed := h.Truncate(size); failed != nil {
			return errors.Join(err, failed)
		}
	}
	if err == nil && size == 0 {
		syncDirectory(f.path)
	}
	return err
}

// repair removes a partial line from the end of a file, and returns the size of the file. If it cannot truncate the
// file, it appends a newline, so that the partial line does not corrupt the next one.
func (f *file) repair(h handle) (int64, error) {
	size, err := sizeOf(h)
	if err != nil || size == 0 {
		return size, err
	}
	var last [1]byte
	if _, err := h.ReadAt(last[:], size-1); err != nil {
		return 0, err
	}
	if last[0] == '\n' {
		return size, nil
	}
	whole, part, err := lastLine(h, size)
	if err != nil {
		return 0, err
	}
	if failed := h.Truncate(whole); failed != nil {
		if _, err := h.Write([]byte("\n")); err != nil {
			return 0, errors.Join(failed, err)
		}
		return size + 1, nil
	}
	if f.onPartialLine != nil {
		f.onPartialLine(part)
	}
	return whole, nil
}

// lastLine returns the offset of the last line of a file, and up to maxPartialLine bytes of the line.
func lastLine(h io.ReaderAt, size int64) (start int64, part []byte, err error) {
	const chunk = 64 << 10
	buffer := make([]byte, chunk)
	for end := size; end > 0; {
		from := max(0, end-chunk)
		b := buffer[:end-from]
		if _, err := h.ReadAt(b, from); err != nil {
			return 0, nil, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			start = from + int64(i) + 1
			break
		}
		end = from
	}
	part = make([]byte, min(size-start, maxPartialLine))
	_, err = h.ReadAt(part, start)
	return start, part, err
}

// maxPartialLine is the number of bytes of a partial line that are reported.
const maxPartialLine = 4 << 10

func sizeOf(h handle) (int64, error) {
	info, err := h.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// syncDirectory syncs the directory of a new file, so that the file survives a power failure. It is best effort,
// because some file systems do not support it.
func syncDirectory(path string) {
	if directory, err := os.Open(filepath.Dir(path)); err == nil {
		_ = directory.Sync()
		directory.Close()
	}
}
