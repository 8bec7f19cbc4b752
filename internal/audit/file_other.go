//go:build !linux

package audit

import (
	"errors"
	"os"
)

const safeOpenFlags = 0

func reserve(handle, int64, int64) error { return nil }

func lock(handle) (unlock func()) { return func() {} }

func acquireLock(string) (gatewayLock, error) {
	return gatewayLock{}, errors.New("file locks are not supported on this system")
}

func checkOwner(os.FileInfo) error { return errors.New("file owners cannot be checked on this system") }
