package commands

import (
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"nomadctld/internal/cmdline"
	"nomadctld/router"
)

// silenceTimeout is the time without input after which exec reports that it reads commands from stdin.
const silenceTimeout = time.Second

// noticeSilence returns a reader that calls notice once if the first read takes longer than timeout. After stop, notice
// is not called.
func noticeSilence(r io.Reader, timeout time.Duration, notice func()) (reader io.Reader, stop func()) {
	s := &silentReader{Reader: r, timeout: timeout, notice: notice}
	return s, s.stop
}

// silentReader watches the first read.
type silentReader struct {
	io.Reader
	timeout time.Duration
	notice  func()

	started sync.Once
	timer   *time.Timer

	mu      sync.Mutex // guards stopped, and is held during notice
	stopped bool
}

func (s *silentReader) Read(p []byte) (int, error) {
	s.started.Do(func() {
		s.timer = time.AfterFunc(s.timeout, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.stopped {
				s.stopped = true
				s.notice()
			}
		})
	})
	n, err := s.Reader.Read(p)
	s.timer.Stop()
	return n, err
}

func (s *silentReader) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// shellBuiltins are commands that exist only in a shell.
var shellBuiltins = []string{".", "alias", "cd", "exit", "export", "set", "source", "type", "ulimit", "umask", "unset"}

// looksLikeShellLine reports whether the words of a program that was not found are a line for a shell: the first word
// contains spaces or operators, is a variable assignment, or is a builtin.
func looksLikeShellLine(words []string) bool {
	return len(words) > 0 &&
		(strings.ContainsAny(words[0], " \t\n|&;<>$`=(*") || slices.Contains(shellBuiltins, words[0]))
}

// suggestShell prints a hint if a word of the command is an unquoted shell operator, which the program got as an
// argument. Operators that are also arguments of programs (expr >) are reported only if the program failed.
func suggestShell(req *router.Request, words []string, code int) {
	if len(words) == 0 || words[0] == "-c" || words[0] == "--" {
		return
	}
	spans := cmdline.Spans(req.Expanded)
	if len(spans) < len(words) {
		return
	}
	spans = spans[len(spans)-len(words):]
	for _, span := range spans[1:] {
		word := req.Expanded[span[0]:span[1]]
		if isPipe(word) || code != 0 && isRedirection(word) {
			printNotice(req, "note: %s got %s as an argument; to run a shell command: exec %s -c %s",
				words[0], word, selectorWords(req), shellQuoted(req.Expanded[spans[0][0]:]))
			return
		}
	}
}

// selectorWords returns the words that select the task, for a suggested command line.
func selectorWords(req *router.Request) string {
	if req.Any {
		return "--any " + req.Args[0]
	}
	return req.Args[0]
}

// isPipe reports whether an unquoted word joins two commands.
func isPipe(word string) bool { return word == "|" || word == "||" || word == "&&" }

// isRedirection reports whether an unquoted word redirects input or output.
func isRedirection(word string) bool {
	return strings.HasPrefix(strings.TrimLeft(word, "012&"), ">") || strings.HasPrefix(word, "<")
}

// shellQuoted returns a shell command in quotes.
func shellQuoted(line string) string {
	if strings.Contains(line, "'") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(line) + `"`
	}
	return "'" + line + "'"
}
