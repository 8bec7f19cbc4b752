// Package cmdline splits command lines into words. The gateway splits the lines that users send and the aliases of its
// configuration with it, so `nomadctld check` and a running gateway read an alias in the same way.
package cmdline

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/shlex"
)

// maxLine limits the length of a command line in bytes. It is Linux's limit for one argument of a program.
const maxLine = 128 << 10

// MaxWords limits the words of a command line. Each word uses many times its own length in memory.
const MaxWords = 10_000

// ErrUnclosed reports a line that ends inside quotes or after a backslash.
var ErrUnclosed = errors.New("the command line ends inside quotes or after a backslash; " +
	"with ssh, quote once for your own shell and once for the gateway")

// Split returns the words of a command line by the quoting rules of a POSIX shell, without expansions or comments.
// It returns an error if the line is too long, is not valid text, or ends inside quotes.
func Split(line string) ([]string, error) {
	switch {
	case len(line) > maxLine:
		return nil, fmt.Errorf("the command line is too long: %d bytes, the limit is %d", len(line), maxLine)
	case !utf8.ValidString(line):
		return nil, errors.New("the command line is not valid UTF-8")
	case strings.ContainsRune(line, 0):
		return nil, errors.New("the command line contains a NUL byte")
	}
	if len(line) > MaxWords { // a word has at least one byte
		if n := len(wordStarts(line)); n > MaxWords {
			return nil, fmt.Errorf("the command line has too many words: %d, the limit is %d", n, MaxWords)
		}
	}
	words, err := shlex.Split(escapeComments(line))
	if err != nil {
		return nil, ErrUnclosed
	}
	return words, nil
}

// ErrNoCommand reports an alias without a command.
var ErrNoCommand = errors.New("the alias contains no command")

// SplitAlias returns the words of the command line that an alias stands for. A line that starts with # contains no
// command: somebody has commented it out.
func SplitAlias(line string) ([]string, error) {
	words, err := Split(line)
	if err == nil && (len(words) == 0 || strings.HasPrefix(words[0], "#")) {
		return nil, ErrNoCommand
	}
	return words, err
}

// escapeComments escapes each # at the start of a word. shlex would treat it as a comment and drop the rest of the
// line.
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

// From returns the line from word n on, unchanged, or "" if there are no more words.
func From(line string, n int) (string, error) {
	words, err := Split(line)
	if err != nil {
		return "", err
	}
	starts := wordStarts(line)
	switch {
	case len(starts) != len(words):
		return "", errors.New("the command line cannot be split into words")
	case n >= len(starts):
		return "", nil
	}
	return line[starts[n]:], nil
}

// wordStarts returns the offsets at which words start, by the rules of Split.
func wordStarts(line string) (starts []int) {
	for _, span := range Spans(line) {
		starts = append(starts, span[0])
	}
	return starts
}

// Spans returns the start and end offsets of the words, by the rules of Split. It also accepts lines that Split
// refuses.
func Spans(line string) (spans [][2]int) {
	var quote byte // the open quote; 0: not quoted
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
