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

// handle is what a log needs of an open file.
type handle interface {
	io.Writer
	io.ReaderAt
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// file appends whole lines to a file. A write that fails leaves nothing of its line behind.
//
// The end of a command must be on record even if the disk becomes full while it runs. So each command that runs has
// spaceForEnd bytes reserved behind the end of the file, on file systems that can do that.
type file struct {
	path          string
	open          func() (handle, error)
	onPartialLine func(part []byte) // gets an unfinished line that was found at the end of the file

	mu      sync.Mutex
	running map[string]int // start events without an end event, by session; guarded by mu
	total   int            // their number; guarded by mu
}

// spaceForEnd is more than an event that encodeShort returns takes. It has one error text, which may grow sixfold when
// it is escaped, and names.
const spaceForEnd = 8 << 10

// check opens the file and removes an unfinished line from its end.
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

// appendStart appends the line of a start event, and reserves space for its end event. If the sync fails, nothing is reserved.
func (f *file) appendStart(line []byte, session string, durable bool) error {
	h, err := f.appendStartLocked(line, session)
	if err != nil {
		return err
	}
	defer h.Close()
	if !durable {
		return nil
	}
	// Not under the lock: others need not wait for the disk.
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

// append appends a line. If it is the end event of a session, the space that was reserved for that is free again.
func (f *file) append(line []byte, session string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, err := f.open()
	if err != nil {
		return err
	}
	defer h.Close()
	ends := session != "" && f.running[session] > 0
	others := f.total
	if ends {
		others--
	}
	if err := f.appendTo(h, line, int64(others)*spaceForEnd); err != nil {
		return err
	}
	if ends {
		f.releaseLocked(session)
	}
	return nil
}

// release frees the space for the end event of a session, which will not be written. Without a reservation it does nothing.
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

// isRunning reports whether a session has a start event without an end event.
func (f *file) isRunning(session string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running[session] > 0
}

// appendTo appends a line so that space for others is left, or nothing. f.mu is held.
func (f *file) appendTo(h handle, line []byte, others int64) error {
	defer lock(h)() // against another gateway with the same file
	size, err := f.repair(h)
	if err != nil {
		return err
	}
	if err := reserve(h, size, int64(len(line))+others); err != nil {
		return err
	}
	n, err := h.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err != nil && n > 0 {
		// Who rotates by copying may have truncated the file, and must not get zeros instead.
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

// repair removes an unfinished line from the end of a file and returns the file's size. A file that cannot be truncated
// gets a newline instead, so that the unfinished line spoils no other.
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

// lastLine returns where the last line of a file starts, and up to maxPartialLine bytes of it.
func lastLine(h io.ReaderAt, size int64) (start int64, part []byte, err error) {
	const chunk = 64 << 10
	buffer := make([]byte, chunk)
	for end := size; end > 0; {
		begin := max(0, end-chunk)
		b := buffer[:end-begin]
		if _, err := h.ReadAt(b, begin); err != nil {
			return 0, nil, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			start = begin + int64(i) + 1
			break
		}
		end = begin
	}
	part = make([]byte, min(size-start, maxPartialLine))
	_, err = h.ReadAt(part, start)
	return start, part, err
}

// maxPartialLine bounds what is reported of an unfinished line.
const maxPartialLine = 4 << 10

func sizeOf(h handle) (int64, error) {
	info, err := h.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// syncDirectory makes the name of a file that was created survive a loss of power. It is best effort: not every file
// system can do it.
func syncDirectory(path string) {
	if directory, err := os.Open(filepath.Dir(path)); err == nil {
		_ = directory.Sync()
		directory.Close()
	}
}
