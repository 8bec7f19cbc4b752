package ops

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// maxFileSize is the maximum size of a file, larger than any definition that Nomad accepts.
const maxFileSize = 16 << 20

// checkFolder returns an error unless path is a folder of the gateway's user that no other user may write to.
func checkFolder(path string) error {
	info, err := os.Lstat(path) // Lstat, because symbolic links are rejected
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%q is not a directory, but %s", path, fileType(info))
	}
	return checkOwner(fmt.Sprintf("the directory %q", path), info)
}

// checkOwner returns an error unless a file or folder belongs to the gateway's user and no other user may write to it.
func checkOwner(name string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Errorf("the owner of %s cannot be checked", name)
	case int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, but the gateway runs as user %d; chown it", name, stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written by others (mode %04o); chmod go-w it", name, info.Mode().Perm())
	}
	return nil
}

// readFile reads a regular file of the gateway's user. It does not follow symbolic links, and does not block on a named
// pipe.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, errors.New("not a regular file, but a symbolic link; remove it")
	}
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file, but %s; remove it", fileType(info))
	}
	if err := checkOwner("the file", info); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(content) > maxFileSize {
		return nil, fmt.Errorf("larger than %d MiB; remove it", maxFileSize>>20)
	}
	return content, nil
}

// withoutPath removes the path from an error, because the caller adds it.
func withoutPath(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

func fileType(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return "a file"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}
