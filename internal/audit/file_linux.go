package audit

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const safeOpenFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK // without O_NONBLOCK, opening a FIFO waits for a reader

// reserve reserves size bytes after the end of a file. If the file system does not support that, it does nothing.
func reserve(h handle, end, size int64) error {
	f, ok := h.(*os.File)
	if !ok {
		return nil
	}
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE: do not change the size of the file
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

// lock locks the file against other gateways until unlock is called. It is best effort, because some file systems have
// no locks, and a process that holds the lock must not block the gateway.
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

// acquireLock locks the file at path until it is released or this process exits. It uses a lock of the open file
// description, because such a lock can be downgraded without releasing it first. flock cannot do that. The lock is
// exclusive if no other gateway has one, else shared.
func acquireLock(path string) (gatewayLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|safeOpenFlags, 0o600)
	if err != nil {
		return gatewayLock{}, err
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
	// Another gateway holds the exclusive lock only while it starts.
	const tries, pause = 500, 10 * time.Millisecond
	for range tries {
		for _, kind := range []int16{syscall.F_WRLCK, syscall.F_RDLCK} {
			if err = set(kind); err == nil {
				return gatewayLock{
					exclusive: kind == syscall.F_WRLCK, downgrade: func() error { return set(syscall.F_RDLCK) },
					release: func() { f.Close() },
				}, nil
			}
			if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) {
				f.Close()
				return gatewayLock{}, err
			}
		}
		time.Sleep(pause)
	}
	f.Close()
	return gatewayLock{}, err
}

// checkOwner returns an error unless only the gateway's user and root can write a file.
func checkOwner(info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("its owner is unknown")
	case int(stat.Uid) != os.Geteuid() && stat.Uid != 0:
		return fmt.Errorf("it belongs to user %d, but the gateway runs as user %d", stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("it is writable by other users (mode %04o)", info.Mode().Perm())
	}
	return nil
}
