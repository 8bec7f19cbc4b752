package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// backquoted matches code in Markdown. Code that contains backquotes is between two pairs of backquotes.
var backquoted = regexp.MustCompile("`` (.+?) ``|`([^`]+)`")

// TestTroubleshooting_QuotesTheCode looks for every message of docs/troubleshooting.md among the string literals of the
// code. A verb of a literal, such as %s, stands for any text.
func TestTroubleshooting_QuotesTheCode(t *testing.T) {
	t.Chdir("../../..")
	text, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	all := messages(t)
	quoted := 0
	for line := range strings.Lines(string(text)) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		found := backquoted.FindStringSubmatch(cell)
		if !strings.HasPrefix(line, "| `") || found == nil {
			continue
		}
		quoted++
		if !matchesMessage(all, found[1]+found[2]) {
			t.Errorf("no message of the code reads %q", found[1]+found[2])
		}
	}
	if quoted < 20 {
		t.Errorf("found only %d messages: the pattern of this test may be broken", quoted)
	}
	for text, want := range map[string]bool{
		"no such user with that name": false,
		"no such user with that key":  true,
		"…":                           false,
	} {
		if got := matchesMessage(all, text); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// message is a string in the code. Its verbs match any text.
type message struct {
	pattern *regexp.Regexp
	letters int // outside of the verbs
}

// matchesMessage reports whether a text matches one of the messages, and at least half of its letters match letters of
// the message and not a verb.
func matchesMessage(messages []message, text string) bool {
	return slices.ContainsFunc(messages, func(m message) bool {
		return 2*m.letters >= letters(text) && m.letters > 0 && m.pattern.MatchString(text)
	})
}

// letters returns the number of letters in a text.
func letters(text string) (n int) {
	for _, r := range text {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}

// messages returns the strings in the code, and the messages in the script nomadctl.
func messages(t *testing.T) (found []message) {
	t.Helper()
	verb := regexp.MustCompile(`%[-+# 0-9.\[\]]*[a-zA-Z]`)
	add := func(text string, placeholder *regexp.Regexp) {
		parts := placeholder.Split(text, -1)
		n := letters(strings.Join(parts, ""))
		for i, part := range parts {
			parts[i] = regexp.QuoteMeta(part)
		}
		found = append(found, message{regexp.MustCompile("^" + strings.Join(parts, ".*") + "$"), n})
	}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasPrefix(path, "tools/") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if text, constant := stringConstant(e); ok && constant {
				add(text, verb)
				return false
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("nomadctl")
	if err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\$\{(?:[^{}]|\$\w+)*\}|\$\w+`)
	printed := regexp.MustCompile(`(?:print_error|fail [0-9]+) "([^"]*)"|reason='([^']*)'`)
	for _, text := range printed.FindAllStringSubmatch(string(script), -1) {
		add(text[1]+text[2], parameter)
	}
	return found
}

// stringConstant returns the value of a string literal, or of a sum of string literals.
func stringConstant(e ast.Expr) (text string, constant bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		left, ok := stringConstant(e.X)
		right, ok2 := stringConstant(e.Y)
		return left + right, ok && ok2 && e.Op == token.ADD
	}
	return "", false
}
