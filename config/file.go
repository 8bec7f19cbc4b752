package config

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

const maxFileSize = 4 << 20 // far above any real config or key; a larger file is the wrong one

// A problem states what is wrong with a file or a key, and what to do. The reason has no subject: the caller prints
// "file X" before "does not exist".
type problem struct{ reason, hint string }

// readFile returns the content and the metadata of a file, or why it cannot be read. The problem contains nothing of
// the content.
func readFile(name string) ([]byte, fs.FileInfo, *problem) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, readProblem(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, readProblem(err)
	}
	if info.IsDir() {
		return nil, nil, &problem{"is a directory", "name a file in it"}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, nil, readProblem(err)
	}
	if len(data) > maxFileSize {
		return nil, nil, &problem{"is larger than 4 MiB", "check that it is the right file"}
	}
	return data, info, nil
}

func readProblem(err error) *problem {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &problem{"does not exist", "create it, or correct the path"}
	case errors.Is(err, fs.ErrPermission):
		return &problem{"cannot be read: permission denied", "make it readable by the user that nomadctld runs as"}
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err // without the path, which the caller prints
	}
	return &problem{"cannot be read: " + err.Error(), "correct the path"}
}

// loadCheckedFile reads the file that v names. It reports a file that cannot be read, is empty, or is writable by other
// users, and a secret that other users can read.
func (l *loader) loadCheckedFile(v value, isSecret bool) ([]byte, bool) {
	data, info, ok := l.loadUncheckedFile(v)
	if ok {
		l.checkFileAccess(v.at, v.name, v.text, info, isSecret)
	}
	return data, ok
}

// loadAuthFile reads a file that decides who may log in. Like sshd, it refuses a file that every user can write.
// emptyHint is the next step for an empty file.
func (l *loader) loadAuthFile(v value, emptyHint string) ([]byte, bool) {
	data, info, ok := l.loadFile(v, emptyHint)
	if !ok {
		return nil, false
	}
	if _, write := l.env.otherUsers(v.text, info); write == everyUser {
		l.errorf(v.at, "chmod go-w "+quote(v.text), "%s: file %s is writable by %s", v.name, quote(v.text), write)
	} else {
		l.checkFileAccess(v.at, v.name, v.text, info, false)
	}
	return data, true
}

const fillFile = "fill the file, or remove the line"

// loadUncheckedFile is loadCheckedFile without the check of the permissions.
func (l *loader) loadUncheckedFile(v value) ([]byte, fs.FileInfo, bool) {
	return l.loadFile(v, fillFile)
}

func (l *loader) loadFile(v value, emptyHint string) ([]byte, fs.FileInfo, bool) {
	if !v.ok {
		return nil, nil, false
	}
	if v.text == "" {
		l.errorf(v.at, "write the path of a file, or remove the line", "%s is empty", v.name)
		return nil, nil, false
	}
	if looksSecret(v.text) {
		l.errorf(v.at, "move it to a file that only nomadctld can read, and write the path of the file here",
			"%s contains a secret, not the path of a file", v.name)
		return nil, nil, false
	}
	data, info, p := l.read(v.text)
	if p != nil {
		l.errorf(v.at, p.hint, "%s: file %s %s", v.name, quote(v.text), p.reason)
		return nil, nil, false
	}
	if len(bytes.TrimSpace(data)) == 0 {
		l.errorf(v.at, emptyHint, "%s: file %s is empty", v.name, quote(v.text))
		return nil, nil, false
	}
	return data, info, true
}

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$`)

// looksSecret reports whether text looks like a Nomad token or a private key, which must not be printed.
func looksSecret(text string) bool {
	return uuidPattern.MatchString(strings.TrimSpace(text)) || strings.Contains(text, "-----BEGIN")
}
