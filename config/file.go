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

const maxFile = 4 << 20 // far above any real config or key: whatever is larger is the wrong file

// unreadable says why a file could not be read, as the rest of a sentence about it, and what to do.
type unreadable struct{ why, mend string }

// readFile returns what a file holds and whose it is, or why not. Nothing of the content is in the reason.
func readFile(name string) ([]byte, fs.FileInfo, *unreadable) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, reason(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, reason(err)
	}
	if info.IsDir() {
		return nil, nil, &unreadable{"is a directory", "name a file in it"}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, reason(err)
	}
	if len(data) > maxFile {
		return nil, nil, &unreadable{"is larger than 4 MiB", "check that it is the right file"}
	}
	return data, info, nil
}

func reason(err error) *unreadable {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &unreadable{"does not exist", "create it, or correct the name"}
	case errors.Is(err, fs.ErrPermission):
		return &unreadable{"may not be read", "make it readable for the user that nomadctld runs as"}
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err // without the name, which the caller shows
	}
	return &unreadable{"cannot be read: " + err.Error(), "correct the name"}
}

// file reads the file that v names. A file that cannot be read, or holds nothing, is reported, and so is one that others
// can change, or read if it is a secret.
func (l *loader) file(v value, isSecret bool) ([]byte, bool) {
	data, info, ok := l.content(v)
	if ok {
		l.guard(v.at, v.name, v.text, info, isSecret)
	}
	return data, ok
}

func (l *loader) content(v value) ([]byte, fs.FileInfo, bool) {
	if !v.ok {
		return nil, nil, false
	}
	if v.text == "" {
		l.fault(v.at, "write the name of the file, or remove the line", "%s is empty", v.name)
		return nil, nil, false
	}
	if secret(v.text) {
		l.fault(v.at, "put that into a file only nomadctld can read, and write its name here",
			"%s holds a secret instead of the name of a file", v.name)
		return nil, nil, false
	}
	data, info, err := readFile(v.text)
	if err != nil {
		l.fault(v.at, err.mend, "%s: file %s %s", v.name, quote(v.text), err.why)
		return nil, nil, false
	}
	if len(bytes.TrimSpace(data)) == 0 {
		l.fault(v.at, "fill it, or remove the line", "%s: file %s is empty", v.name, quote(v.text))
		return nil, nil, false
	}
	return data, info, true
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$`)

// secret reports whether text looks like a Nomad token or a private key, which must not be shown to anybody.
func secret(text string) bool {
	return uuid.MatchString(strings.TrimSpace(text)) || strings.Contains(text, "-----BEGIN")
}
