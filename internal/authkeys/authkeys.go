// Package authkeys parses files in the authorized_keys format of OpenSSH. It refuses every option that the gateway
// cannot enforce. It is pure: it reads no files and no clock.
package authkeys

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Key is a line of a file: a public key with its options.
type Key struct {
	Line   int // 1-based; 0 if the key is not from a file
	Public ssh.PublicKey
	Options
}

// Options are the restrictions of a key. The zero value restricts nothing.
type Options struct {
	CertAuthority bool      // the key is not the user's: it signs certificates of the user
	Principals    []string  // of CertAuthority: the certificate has one of them; nil: the login
	From          *Sources  // nil: from every address
	Expires       time.Time // the last moment at which the key is valid; zero: it does not expire
	Command       *string   // the only command line that the user may run; nil: all
	NoTerminal    bool
	NoForwarding  bool
}

// LineError is what is wrong with a line. Reason follows the subject, as in "line 3" and "has two from= options". It
// contains nothing of the line except names of options.
type LineError struct {
	Line   int
	Reason string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d %s", e.Line, e.Reason) }

// Parse returns the keys of a file, or an error for each line that is not valid. Empty lines and lines that start with
// # are comments. zone is the time zone of expiry-time options without Z.
func Parse(data []byte, zone *time.Location) ([]Key, []*LineError) {
	var keys []Key
	var errs []*LineError
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		key, err := parseLine(text, zone)
		if err != nil {
			errs = append(errs, &LineError{number, err.Error()})
			continue
		}
		key.Line = number
		keys = append(keys, key)
	}
	if errs != nil {
		return nil, errs
	}
	return keys, nil
}

// parseLine parses a key, or options and a key.
func parseLine(line string, zone *time.Location) (Key, error) {
	var key Key
	public, ok := parseKey(line)
	if !ok {
		options, rest, err := cutOptions(line)
		if err != nil {
			return key, err
		}
		if public, ok = parseKey(rest); !ok {
			return key, fmt.Errorf("is not an SSH key")
		}
		if key.Options, err = parseOptions(options, zone); err != nil {
			return key, err
		}
	}
	if _, isCert := public.(*ssh.Certificate); isCert {
		return key, fmt.Errorf("is a certificate, not a key: list the key of its CA with the option cert-authority")
	}
	if reason := Weakness(public); reason != "" {
		return key, fmt.Errorf("%s", reason)
	}
	key.Public = public
	return key, nil
}

// parseKey parses a line without options.
func parseKey(line string) (ssh.PublicKey, bool) {
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	kind, _, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	return key, err == nil && len(options) == 0 && kind == key.Type()
}
