//go:build !linux

package audit

import "errors"

const noFollow = 0

func reserve(handle, int64, int64) error { return nil }

func lock(handle) (unlock func()) { return func() {} }

func claim(string) (release func(), ok bool, err error) {
	return nil, false, errors.New("file locks are not supported on this system")
}
