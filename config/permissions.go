package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// environment is what decides who else gets at a file.
type environment struct {
	uid    int   // of the gateway. 0: not told apart from a root who only checks the file for another user
	groups []int // of the gateway

	// container is the project's image, or a task of Nomad with a file system of its own: other users of the machine do not
	// get in, and what is mounted there may have any mode.
	container bool
}

func currentEnvironment() environment {
	groups, _ := os.Getgroups()
	return environment{
		uid:       os.Geteuid(),
		groups:    append(groups, os.Getegid()),
		container: os.Getenv("NOMADCTLD_CONTAINER") != "" || os.Getenv("NOMAD_ALLOC_DIR") == "/alloc", // of raw_exec it is a path on the machine
	}
}

const everyUser = "every user of this machine"

// otherUsers says who beside root and the gateway can read and write a file; empty: nobody.
func (m environment) otherUsers(path string, info fs.FileInfo) (read, write string) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || m.container {
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
	if group := fmt.Sprintf("group %d", stat.Gid); !m.trustsGroup(stat) {
		if mode&0o040 != 0 && read == "" && m.uid != 0 {
			read = group
		}
		if mode&0o020 != 0 && write == "" {
			write = group
		}
	}
	if owner := int(stat.Uid); m.uid != 0 && owner != 0 && owner != m.uid {
		read, write = fmt.Sprintf("user %d", owner), fmt.Sprintf("user %d", owner)
	}
	return read, write
}

// trustsGroup reports whether a file's group is root's, the gateway's, or one that its owner has alone.
func (m environment) trustsGroup(stat *syscall.Stat_t) bool {
	return stat.Gid == 0 || stat.Gid == stat.Uid || slices.Contains(m.groups, int(stat.Gid))
}

// worldReachable reports whether all folders above a file let everybody through.
func worldReachable(path string) bool {
	for dir := range parentDirs(path) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
	}
	return true
}

// parentDirs yields the folders above a file, of which the first is the one that it is in.
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

// checkFileAccess reports who else can read, when it is a secret, or change the file that a setting names. at is where the setting
// stands.
func (l *loader) checkFileAccess(at int, name, path string, info fs.FileInfo, secret bool) {
	read, write := l.env.otherUsers(path, info)
	if secret && read != "" {
		l.warnf(at, "chmod 600 "+quote(path)+", or 640 with a group that only the gateway is in", "%s: file %s is a secret, and %s can read it", name, quote(path), read)
	}
	if write != "" {
		l.warnf(at, "chmod go-w "+quote(path)+", or chown it to root or the gateway's user", "%s: file %s can be changed by %s", name, quote(path), write)
	}
	l.checkFolders(at, name, path)
}

// checkConfigAccess refuses a configuration that everybody can change, as sshd does authorized_keys: it says whose key is whose.
func (l *loader) checkConfigAccess(path string, info fs.FileInfo) {
	if _, write := l.env.otherUsers(path, info); write == everyUser {
		l.errorf(-1, "chmod go-w "+quote(path), "the config file can be changed by %s", write)
	} else if write != "" {
		l.warnf(-1, "chmod go-w "+quote(path)+", or chown it to root or the gateway's user", "the config file can be changed by %s", write)
	}
	l.checkFolders(-1, "the config file", path)
}

// checkFolders refuses a file in a folder in which everybody can put another in its place.
func (l *loader) checkFolders(at int, name, path string) {
	for dir := range parentDirs(path) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o002 == 0 || info.Mode()&fs.ModeSticky != 0 || l.env.container || !worldReachable(filepath.Join(dir, "x")) {
			continue
		}
		l.errorf(at, "chmod o-w "+quote(dir), "%s: every user of this machine can replace %s, because they can write to %s", name, quote(path), quote(dir))
		return
	}
}

// checkJobsFolder refuses a folder in which others could put definitions; the gateway would not keep any there.
func (l *loader) checkJobsFolder(at int, name, path string) {
	info, err := os.Lstat(filepath.Clean(path))
	if err != nil {
		l.checkFolders(at, name, path) // it is made when it is needed
		return
	}
	stat, _ := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case !info.IsDir():
		l.errorf(at, "name a folder; the gateway creates a missing one", "%s: %s is not a folder", name, quote(path))
	case mode&0o022 != 0:
		l.errorf(at, "chmod 700 "+quote(path), "%s: others can write to folder %s", name, quote(path))
	case stat != nil && l.env.uid != 0 && int(stat.Uid) != l.env.uid:
		l.errorf(at, "chown it, or name another folder", "%s: folder %s belongs to user %d, and not to user %d that the gateway runs as", name, quote(path), stat.Uid, l.env.uid)
	default:
		if mode&0o005 != 0 && !l.env.container && worldReachable(path) {
			l.warnf(at, "chmod 700 "+quote(path), "%s: every user of this machine can look into folder %s", name, quote(path))
		}
		l.checkFolders(at, name, path)
	}
}

// checkAuditFile is guard for a file that may still have to be made.
func (l *loader) checkAuditFile(at int, name, path string) {
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err == nil {
		if _, write := l.env.otherUsers(dir, info); write != "" && write != everyUser {
			l.warnf(at, "chmod g-w "+quote(dir)+", or chown it to root or the gateway's user", "%s: folder %s, and so the log in it, can be changed by %s", name, quote(dir), write)
		}
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() {
		l.checkFileAccess(at, name, path, info, true)
		return
	}
	l.checkFolders(at, name, path)
}
