package krl

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// parseText parses a file with one public key or SHA-256 fingerprint per line. Empty lines and lines that start with #
// are comments.
func parseText(data []byte) (*List, error) {
	l := newList()
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		if err := l.addLine(text); err != nil {
			return nil, fmt.Errorf("line %d %w", number, err)
		}
	}
	return l, nil
}

var errLine = errors.New("is not a public key or a fingerprint such as SHA256:AAAA..., and the file is not a KRL")

// addLine adds a public key or a fingerprint. The errors contain nothing of the line.
func (l *List) addLine(text string) error {
	if fingerprint, ok := strings.CutPrefix(text, "SHA256:"); ok {
		fingerprint, _, _ = strings.Cut(fingerprint, " ") // a comment
		hash, err := base64.RawStdEncoding.Strict().DecodeString(fingerprint)
		if err != nil || len(hash) != sha256.Size {
			return errors.New("is not a complete SHA256 fingerprint")
		}
		l.sha256[[sha256.Size]byte(hash)] = true
		return nil
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || len(options) > 0 {
		return errLine
	}
	if _, isCert := key.(*ssh.Certificate); isCert {
		return errors.New("is a certificate: list its key, or revoke it by its serial number with ssh-keygen -k")
	}
	l.keys[string(key.Marshal())] = true
	return nil
}
