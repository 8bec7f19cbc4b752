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

const maxFileSize = 4 << 20 // far above any real config or key: whatever is larger is the wrong file

// problem says why a file could not be read, as the rest of a sentence about it, and what to do.
type problem struct{ reason, hint string }

// readFile returns what a file holds and whose it is, or why not. Nothing of the content is in the reason.
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
		return &problem{"does not exist", "create it, or correct the name"}
	case errors.Is(err, fs.ErrPermission):
		return &problem{"may not be read", "make it readable for the user that nomadctld runs as"}
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err // without the name, which the caller shows
	}
	return &problem{"cannot be read: " + err.Error(), "correct the name"}
}

// loadFile reads the file that v names. A file that cannot be read, or holds nothing, is reported, and so is one that others
// can change, or read if it is a secret.
func (l *loader) loadFile(v value, isSecret bool) ([]byte, bool) {
	data, info, ok := l.loadContent(v)
	if ok {
		l.checkFileAccess(v.at, v.name, v.text, info, isSecret)
	}
	return data, ok
}

func (l *loader) loadContent(v value) ([]byte, fs.FileInfo, bool) {
	if !v.ok {
		return nil, nil, false
	}
	if v.text == "" {
		l.errorf(v.at, "write the name of the file, or remove the line", "%s is empty", v.name)
		return nil, nil, false
	}
	if looksSecret(v.text) {
		l.errorf(v.at, "put that into a file only nomadctld can read, and write its name here",
			"%s holds a secret instead of the name of a file", v.name)
		return nil, nil, false
	}
	data, info, err := readFile(v.text)
	if err != nil {
		l.errorf(v.at, err.hint, "%s: file %s %s", v.name, quote(v.text), err.reason)
		return nil, nil, false
	}
	if len(bytes.TrimSpace(data)) == 0 {
		l.errorf(v.at, "fill it, or remove the line", "%s: file %s is empty", v.name, quote(v.text))
		return nil, nil, false
	}
	return data, info, true
}

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$`)

// looksSecret reports whether text looks like a Nomad token or a private key, which must not be shown to anybody.
func looksSecret(text string) bool {
	return uuidPattern.MatchString(strings.TrimSpace(text)) || strings.Contains(text, "-----BEGIN")
}
