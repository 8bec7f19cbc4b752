package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// An environment determines which other users can read and write a file.
type environment struct {
	uid    int   // of this process: the gateway, or "nomadctld check", which root may run for another user
	groups []int // of the gateway

	// inContainer is true in the project's image, and in a Nomad task with its own file system. There, the host's other
	// users have no access, and a mounted file may have any mode.
	inContainer bool
}

func currentEnvironment() environment {
	groups, _ := os.Getgroups()
	// NOMAD_ALLOC_DIR of a raw_exec task is a path on the host.
	return environment{
		uid:         os.Geteuid(),
		groups:      append(groups, os.Getegid()),
		inContainer: os.Getenv("NOMADCTLD_CONTAINER") != "" || os.Getenv("NOMAD_ALLOC_DIR") == "/alloc",
	}
}

const everyUser = "every user of this machine"

// otherUsers returns who, except root and the gateway, can read and write a file. If the gateway is root, it reports
// neither the owner nor a group that can only read. In a container it reports nobody.
func (e environment) otherUsers(path string, info fs.FileInfo) (read, write string) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || e.inContainer {
		return "", ""
	}
	mode := info.Mode().Perm()
	if mode&0o006 != 0 && worldReachable(path) {
		if mode&0o004 != 0 {
			read = everyUser
		}
		if mode&0o002 != 0 {
			write = everyUser
		}
	}
	if group := fmt.Sprintf("group %d", stat.Gid); !e.trustsGroup(stat) {
		if mode&0o040 != 0 && read == "" && e.uid != 0 {
			read = group
		}
		if mode&0o020 != 0 && write == "" {
			write = group
		}
	}
	if owner := int(stat.Uid); e.uid != 0 && owner != 0 && owner != e.uid {
		read, write = fmt.Sprintf("user %d", owner), fmt.Sprintf("user %d", owner)
	}
	return read, write
}

// trustsGroup reports whether a file's group is root's, one of the gateway's, or the private group of the file's owner.
func (e environment) trustsGroup(stat *syscall.Stat_t) bool {
	return stat.Gid == 0 || stat.Gid == stat.Uid || slices.Contains(e.groups, int(stat.Gid))
}

// worldReachable reports whether every user can traverse all parent directories of a file.
func worldReachable(path string) bool {
	for dir := range parentDirs(path) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
	}
	return true
}

// parentDirs yields the parent directories of a file, from the nearest to the root.
func parentDirs(path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		path, err := filepath.Abs(path)
		if err != nil {
			return
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		for dir := filepath.Dir(path); yield(dir) && dir != filepath.Dir(dir); {
			dir = filepath.Dir(dir)
		}
	}
}

// checkFileAccess warns if other users can write the file of a setting, or read it if it is a secret. at is the offset
// of the setting.
func (l *loader) checkFileAccess(at int, name, path string, info fs.FileInfo, secret bool) {
	read, write := l.env.otherUsers(path, info)
	if secret && read != "" {
		l.warnf(at, "chmod 600 "+quote(path)+", or chmod 640 with a group that only the gateway is in",
			"%s: file %s is secret, but readable by %s", name, quote(path), read)
	}
	if write != "" {
		l.warnf(at, "chmod go-w "+quote(path)+", or chown it to root or the gateway's user",
			"%s: file %s is writable by %s", name, quote(path), write)
	}
	l.checkParentDirs(at, name, path)
}

// checkConfigAccess refuses a config file that every user can write, because it decides who may log in. sshd refuses
// such an authorized_keys file too.
func (l *loader) checkConfigAccess(path string, info fs.FileInfo) {
	read, write := l.env.otherUsers(path, info)
	if read == everyUser {
		l.warnf(-1, "chmod o-r "+quote(path), "the config file, which lists users, rights and addresses, is readable by %s",
			read)
	}
	if write == everyUser {
		l.errorf(-1, "chmod go-w "+quote(path), "the config file is writable by %s", write)
	} else if write != "" {
		l.warnf(-1, "chmod go-w "+quote(path)+", or chown it to root or the gateway's user",
			"the config file is writable by %s", write)
	}
	l.checkParentDirs(-1, "the config file", path)
}

// checkParentDirs refuses a file if every user can replace it, because a parent directory is world-writable.
func (l *loader) checkParentDirs(at int, name, path string) {
	for dir := range parentDirs(path) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o002 == 0 || info.Mode()&fs.ModeSticky != 0 {
			continue
		}
		if l.env.inContainer || !worldReachable(filepath.Join(dir, "x")) {
			continue
		}
		l.errorf(at, "chmod o-w "+quote(dir),
			"%s: every user of this machine can replace %s, because directory %s is world-writable",
			name, quote(path), quote(dir))
		return
	}
}

// checkJobsDir refuses a directory in which other users could create definitions. The gateway would not save any
// there.
func (l *loader) checkJobsDir(at int, name, path string) {
	info, err := os.Lstat(filepath.Clean(path))
	if err != nil {
		l.checkParentDirs(at, name, path) // the gateway creates the directory when it needs it
		l.checkCanSaveJobs(at, name, path)
		return
	}
	stat, _ := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case !info.IsDir():
		l.errorf(at, "name a directory (the gateway creates a missing one)",
			"%s: %s is not a directory", name, quote(path))
	case mode&0o022 != 0:
		l.errorf(at, "chmod 700 "+quote(path), "%s: directory %s is writable by other users", name, quote(path))
	case stat != nil && l.env.uid != 0 && int(stat.Uid) != l.env.uid:
		l.errorf(at, "chown it, or name another directory",
			"%s: directory %s belongs to user %d, but the gateway runs as user %d",
			name, quote(path), stat.Uid, l.env.uid)
	default:
		if mode&0o005 != 0 && !l.env.inContainer && worldReachable(path) {
			l.warnf(at, "chmod 700 "+quote(path), "%s: directory %s is open to %s", name, quote(path), everyUser)
		}
		l.checkParentDirs(at, name, path)
		l.checkCanSaveJobs(at, name, path)
	}
}

// checkAuditFile is checkFileAccess for a file that may not exist yet.
func (l *loader) checkAuditFile(at int, name, path string) {
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err == nil {
		if _, write := l.env.otherUsers(dir, info); write != "" && write != everyUser {
			l.warnf(at, "chmod g-w "+quote(dir)+", or chown it to root or the gateway's user",
				"%s: directory %s of the audit log is writable by %s", name, quote(dir), write)
		}
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() {
		l.checkFileAccess(at, name, path, info, true)
		return
	}
	l.checkParentDirs(at, name, path)
}
