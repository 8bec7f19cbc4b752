package audit

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const safeOpenFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK // an open of a FIFO must not wait for a reader

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

// acquireLock locks the file at path until it is released or this process exits. Locks of open file descriptions are used because
// they can be shared without being released first, which flock cannot do.
func acquireLock(path string) (exclusiveLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|safeOpenFlags, 0o600)
	if err != nil {
		return exclusiveLock{}, err
	}
	set := func(kind int16) error {
		const setLock = 37 // F_OFD_SETLK
		for {
			err := syscall.FcntlFlock(f.Fd(), setLock, &syscall.Flock_t{Type: kind})
			if !errors.Is(err, syscall.EINTR) {
				return err
			}
		}
	}
	// Another gateway has it exclusively only while it starts.
	const tries, pause = 500, 10 * time.Millisecond
	for range tries {
		for _, kind := range []int16{syscall.F_WRLCK, syscall.F_RDLCK} {
			if err = set(kind); err == nil {
				return exclusiveLock{
					exclusive: kind == syscall.F_WRLCK, downgrade: func() error { return set(syscall.F_RDLCK) }, release: func() { f.Close() },
				}, nil
			}
			if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) {
				f.Close()
				return exclusiveLock{}, err
			}
		}
		time.Sleep(pause)
	}
	f.Close()
	return exclusiveLock{}, err
}

// checkOwner returns an error unless only the gateway's user and root can write a file.
func checkOwner(info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("its owner is not known")
	case int(stat.Uid) != os.Geteuid() && stat.Uid != 0:
		return fmt.Errorf("it belongs to user %d, and the gateway runs as user %d", stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("other users can write it (mode %04o)", info.Mode().Perm())
	}
	return nil
}
