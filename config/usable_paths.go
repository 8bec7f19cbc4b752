package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Modes of access(2).
const (
	accessExecute = 1
	accessWrite   = 2
)

// mayAccess reports whether the kernel lets this process access a path. It is also false on a read-only file system.
func mayAccess(path string, mode uint32) bool { return syscall.Access(path, mode) == nil }

const hintOwner = ", or run check --as with the user that the gateway runs as"

// checkAuditUsable refuses an audit file that the gateway could not open, because it would not start. It reports
// whether the file is usable.
func (l *loader) checkAuditUsable(at int, name, path string) bool {
	before := len(l.diagnostics)
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.IsDir():
		l.errorf(at, "name a file in it", "%s: %s is a directory", name, quote(path))
	case err == nil && !info.Mode().IsRegular():
		l.errorf(at, `name a regular file, or "-" for standard output`, "%s: %s is not a regular file", name, quote(path))
	case err == nil && !mayAccess(path, accessWrite):
		l.errorf(at, "chown it to the gateway's user"+hintOwner, "%s: file %s cannot be written", name, quote(path))
	case err == nil:
	default:
		l.checkAuditDir(at, name, filepath.Dir(path))
	}
	return len(l.diagnostics) == before
}

// checkAuditDir refuses a directory in which the gateway could not create the audit file.
func (l *loader) checkAuditDir(at int, name, dir string) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.errorf(at, "create it: mkdir -m 700 "+quote(dir)+", owned by the gateway's user",
			"%s: directory %s does not exist", name, quote(dir))
	case err != nil:
		l.errorf(at, "make it accessible to the gateway's user", "%s: directory %s %s", name, quote(dir),
			readProblem(err).reason)
	case !info.IsDir():
		l.errorf(at, "name a file in a directory", "%s: %s is not a directory", name, quote(dir))
	default:
		l.checkCanWriteIn(at, name, dir)
	}
}

// checkCanWriteIn refuses a directory in which the gateway cannot create files.
func (l *loader) checkCanWriteIn(at int, name, dir string) {
	if !canWriteIn(dir) {
		l.errorf(at, "chown it to the gateway's user"+hintOwner, "%s: the gateway cannot create files in directory %s",
			name, quote(dir))
	}
}

// canWriteIn reports whether this process can create files in a directory.
func canWriteIn(dir string) bool { return mayAccess(dir, accessWrite|accessExecute) }

// checkCanSaveJobs warns if the gateway cannot create files in the directory or, if that does not exist, the directory.
// The gateway works without saved definitions.
func (l *loader) checkCanSaveJobs(at int, name, path string) {
	dir := filepath.Clean(path)
	for parent := range parentDirs(path) {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			break
		}
		dir = parent
	}
	if !canWriteIn(dir) {
		l.warnf(at, "chown it to the gateway's user"+hintOwner, "%s: the gateway cannot create files in directory %s, "+
			"so it cannot save definitions, and restart --full is refused", name, quote(dir))
	}
}

// checkNomadBinary warns if the nomad binary cannot be run. Only raw needs it.
func (l *loader) checkNomadBinary(at int, name, path string) {
	const hint = "install it, correct the path, or remove the line"
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.warnf(at, hint, "%s: %s does not exist, so raw does not work", name, quote(path))
	case err != nil:
		l.warnf(at, hint, "%s: %s %s, so raw does not work", name, quote(path), readProblem(err).reason)
	case !info.Mode().IsRegular():
		l.warnf(at, hint, "%s: %s is not a file, so raw does not work", name, quote(path))
	default:
		l.checkFileAccess(at, name, path, info, false)
		if !mayAccess(path, accessExecute) {
			l.warnf(at, "chmod a+rx "+quote(path), "%s: %s is not executable, so raw does not work", name, quote(path))
		}
	}
}

// reportMissingHostKey reports a host key that does not exist, with the command that creates it.
func (l *loader) reportMissingHostKey(v value) bool {
	if !v.ok || v.text == "" || looksSecret(v.text) {
		return false
	}
	_, err := os.Stat(v.text)
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	l.errorf(v.at, "create it: ssh-keygen -t ed25519 -N '' -f "+quote(v.text), "%s: file %s does not exist",
		v.name, quote(v.text))
	return true
}
