package ops

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// maxFile is far above any definition that Nomad accepts.
const maxFile = 16 << 20

// checkFolder returns an error unless a folder belongs to the gateway's user, and nobody else may write it.
func checkFolder(path string) error {
	info, err := os.Lstat(path) // a link to a folder is not one
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%q is not a folder, but %s", path, fileType(info))
	}
	if err := checkOwner(info); err != nil {
		return fmt.Errorf("the folder %q %w", path, err)
	}
	return nil
}

// checkOwner returns the rest of a sentence about a file.
func checkOwner(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("has no owner that could be checked")
	case int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to user %d, but the gateway runs as user %d; chown it", stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("can be written by others (mode %04o); chmod go-w it", info.Mode().Perm())
	}
	return nil
}

// readFile reads a regular file that belongs to the gateway's user alone. It follows no link and waits for no other end.
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
	if err := checkOwner(info); err != nil {
		return nil, fmt.Errorf("the file %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("larger than %d MiB; remove it", maxFile>>20)
	}
	return content, nil
}

// withoutPath leaves out the path, which the caller names.
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
		return "a folder"
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
