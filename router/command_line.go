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

// maxWords is how many words a command line may have. Each takes up many times its own length in memory.
const maxWords = 10_000

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
	if len(line) > maxWords { // a word has a byte, and a space before it
		if n := len(wordStarts(line)); n > maxWords {
			return nil, fmt.Errorf("the command line has too many words: %d, at most %d", n, maxWords)
		}
	}
	words, err := shlex.Split(escapeComments(line))
	if err != nil {
		return nil, errors.New("the command line ends inside a quote or after a backslash; with ssh, quote once for your own shell and once for the gateway")
	}
	return words, nil
}

// escapeComments puts a backslash before each # that begins a word. shlex takes such a word for a comment and drops the
// rest of the line, which is right in a shell script and wrong in a command.
func escapeComments(line string) string {
	if !strings.Contains(line, "#") {
		return line
	}
	var b strings.Builder
	done := 0
	for _, start := range wordStarts(line) {
		if line[start] == '#' {
			b.WriteString(line[done:start] + `\`)
			done = start
		}
	}
	return b.String() + line[done:]
}

// lineFrom returns the line from its n-th word on, as it stands there; empty when there are no more words.
func lineFrom(line string, n int) (string, error) {
	words, err := Split(line)
	if err != nil {
		return "", err
	}
	begins := wordStarts(line)
	switch {
	case len(begins) != len(words):
		return "", errors.New("the command line cannot be cut into words")
	case n >= len(begins):
		return "", nil
	}
	return line[begins[n]:], nil
}

// wordStarts returns where the words of a line begin, by the rules of Split.
func wordStarts(line string) (begins []int) {
	for _, span := range wordSpans(line) {
		begins = append(begins, span[0])
	}
	return begins
}

// wordSpans returns where the words of a line begin and end, by the rules of Split, also of one that Split refuses.
func wordSpans(line string) (spans [][2]int) {
	var quote byte // the open quote; 0 outside
	between, escaped := true, false
	for i := range len(line) {
		c := line[i]
		space := quote == 0 && !escaped && strings.IndexByte(" \t\r\n", c) >= 0
		switch {
		case between && !space:
			spans = append(spans, [2]int{i, len(line)})
		case !between && space:
			spans[len(spans)-1][1] = i
		}
		between = space
		switch {
		case escaped:
			escaped = false
		case quote == '\'':
			if c == quote {
				quote = 0
			}
		case c == '\\':
			escaped = true
		case quote == '"':
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		}
	}
	return spans
}
