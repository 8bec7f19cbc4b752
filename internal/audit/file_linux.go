package audit

import (
	"errors"
	"os"
	"syscall"
	"time"
)

const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK // an open of a FIFO must not wait for a reader

// reserve makes room for size bytes behind the end of a file. A file system that cannot do that reserves nothing.
func reserve(h handle, end, size int64) error {
	f, ok := h.(*os.File)
	if !ok {
		return nil
	}
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE: the file does not get longer
	for {
		err := syscall.Fallocate(int(f.Fd()), keepSize, end, size)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
			return &os.PathError{Op: "reserve space", Path: f.Name(), Err: err}
		}
		return nil
	}
}

// lock keeps other gateways from writing until the function that it returns is called. It is best effort: not every file
// system has locks, and whoever holds one for long must not stop the gateway.
func lock(h handle) (unlock func()) {
	const tries, pause = 50, 2 * time.Millisecond
	f, ok := h.(*os.File)
	for i := 0; ok && i < tries; i++ {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return func() { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return func() {}
		}
		time.Sleep(pause)
	}
	return func() {}
}

// claim takes the lock on the file at path for as long as this process keeps the file open. ok is false if another
// process has it.
func claim(path string) (release func(), ok bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil, false, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = nil
		}
		return nil, false, err
	}
	return func() { f.Close() }, true, nil
}
