package router

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/shlex"
)

// maxLine is how long a command line may be, in bytes: Linux's limit for one argument of a program.
const maxLine = 128 << 10

// Split returns the words of a command line by the rules of a POSIX shell's quoting. Nothing is expanded and
// nothing is a comment. A line that is too long, is not text or does not end its quotes is an error.
func Split(line string) ([]string, error) {
	switch {
	case len(line) > maxLine:
		return nil, fmt.Errorf("the command line is too long: %d bytes, at most %d", len(line), maxLine)
	case !utf8.ValidString(line):
		return nil, errors.New("the command line is not valid UTF-8")
	case strings.ContainsRune(line, 0):
		return nil, errors.New("the command line holds a NUL byte")
	}
	words, err := shlex.Split(escapeComments(line))
	if err != nil {
		return nil, errors.New("the command line ends inside a quote or after a backslash; with ssh, quote once for your own shell and once for the gateway")
	}
	return words, nil
}

// escapeComments puts a backslash before each # that would begin a word. shlex takes such a word for a comment
// and drops the rest of the line, which is right in a shell script and wrong in a command.
func escapeComments(line string) string {
	if !strings.Contains(line, "#") {
		return line
	}
	var b strings.Builder
	var quote rune // the open quote; 0 outside
	between, escaped := true, false
	for _, r := range line {
		if r == '#' && between && quote == 0 && !escaped {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		switch {
		case escaped:
			escaped, between = false, false
		case quote == '\'':
			if r == '\'' {
				quote = 0
			}
		case r == '\\':
			escaped, between = true, false
		case quote == '"':
			if r == '"' {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote, between = r, false
		default:
			between = strings.ContainsRune(" \t\r\n", r)
		}
	}
	return b.String()
}
