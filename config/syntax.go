package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// parse returns the file as a tree, or nil if it is not valid TOML. In that case it keeps only the syntax errors,
// because other errors may be consequences of them.
//
// The parser stops at the first error. parse therefore reports it, starts a new parser at the next line that looks like
// a statement, and continues until the end or maxErrors. base is the offset at which the current parser started.
func (r *report) parse() *node {
	const maxErrors = 10
	root := &node{kind: unstable.Table, key: -1, at: -1}
	syntax := &report{file: r.file, src: r.src, lines: r.lines}
	for base := 0; base < len(r.src) && len(syntax.diagnostics) < maxErrors; {
		var p unstable.Parser
		p.Reset(r.src[base:])
		for t := root; p.NextExpression(); {
			if e := p.Expression(); e.Kind == unstable.KeyValue {
				r.setKey(t, e, base)
			} else {
				t = r.openTable(root, e, base)
			}
		}
		err := p.Error()
		if err == nil {
			break
		}
		at := base
		if parserError := (*unstable.ParserError)(nil); errors.As(err, &parserError) {
			at += cap(p.Data()) - cap(parserError.Highlight) // as Parser.Range does, which panics here
		}
		base = syntax.reportSyntaxError(min(max(at, base), len(r.src)-1), err.Error())
	}
	if len(syntax.diagnostics) > 0 {
		r.diagnostics = syntax.diagnostics
		return nil
	}
	return root
}

var (
	// statementPattern matches the start of a header or a key, where parsing can continue after an error.
	statementPattern = regexp.MustCompile(`(?m)^[ \t]*(\[[\w.-]+\][ \t]*(#.*)?$|[\w-]+[ \t]*=)`)
	listPattern      = regexp.MustCompile(`(?m)^[ \t]*[\w.-]+[ \t]*=[ \t]*\[`)
	bareWordPattern  = regexp.MustCompile(`^[\w./:@%+-]{1,40}`)
)

// reportSyntaxError reports an error of the parser at an offset, and returns the offset at which to continue.
func (r *report) reportSyntaxError(at int, parserError string) int {
	start := r.lines[r.line(at)-1]
	next := r.lineEnd(at)
	message, hint := explainParserError(parserError)
	switch word := r.wordAt(at, start); {
	case strings.Contains(parserError, "array is incomplete"):
		at = r.listStart(at)
	case r.isUnclosedList(at, start, parserError):
		message, hint = explainParserError("array is incomplete")
		at, next = r.listStart(at), start
	case strings.Contains(parserError, "not terminated by"):
		at = max(bytes.LastIndex(r.src, []byte(`"""`)), bytes.LastIndex(r.src, []byte(`'''`)))
	case message == unquoted && (strings.EqualFold(word, "true") || strings.EqualFold(word, "false")):
		message, hint = fmt.Sprintf("%s is not lowercase", word), "write "+strings.ToLower(word)
	case message == unquoted && word != "":
		message, hint = fmt.Sprintf("the value %s is not in quotes", word), fmt.Sprintf("write %q", word)
	}
	r.errorf(at, hint, "%s", message)
	if again := statementPattern.FindIndex(r.src[next:]); again != nil {
		return next + again[0]
	}
	return len(r.src)
}

// isUnclosedList reports whether the error comes from a list that was not closed. The parser then finds the start of
// the next statement where it expects a list item.
func (r *report) isUnclosedList(at, start int, parserError string) bool {
	inList := strings.Contains(parserError, "array value") || strings.Contains(parserError, "expected keyword") ||
		strings.Contains(parserError, "start of value")
	return inList && len(bytes.Trim(r.src[start:at], " \t[")) == 0 && statementPattern.Match(r.src[start:r.lineEnd(at)])
}

// listStart returns the offset of the bracket that opens the last list before at.
func (r *report) listStart(at int) int {
	if open := listPattern.FindAllIndex(r.src[:at], -1); open != nil {
		return open[len(open)-1][1] - 1
	}
	return at
}

// lineEnd returns the end of the line that at is on.
func (r *report) lineEnd(at int) int {
	if n := bytes.IndexByte(r.src[at:], '\n'); n >= 0 {
		return at + n
	}
	return len(r.src)
}

// wordAt returns the value around an offset if it is one short word that is safe to print, and only a quote, a comma, a
// bracket or a comment follows it.
func (r *report) wordAt(at, start int) string {
	for at > start && bareWordPattern.Match(r.src[at-1:at]) {
		at--
	}
	word := string(bareWordPattern.Find(r.src[at:]))
	rest := strings.TrimLeft(string(r.src[at+len(word):r.lineEnd(at)]), " \t\r")
	if looksSecret(word) || rest != "" && !strings.ContainsAny(rest[:1], `"',]}#`) {
		return ""
	}
	return word
}

const unquoted = "a value is not in quotes"

// explainParserError translates an error of the TOML parser for an administrator.
func explainParserError(parserError string) (message, hint string) {
	const escapeHint = `write \\ for each \, or use '...'`
	for _, p := range []struct{ contains, message, hint string }{
		{"start of value", unquoted, "put it in double quotes"},
		{"expected keyword", unquoted, "put it in double quotes"},
		{"must be quoted", unquoted, "put it in double quotes"},
		{"have new lines", "a string on this line is not closed", "close it with the quote that opened it"},
		{"unterminated", "a string on this line is not closed", "close it with the quote that opened it"},
		{"not terminated by", "the string that starts with three quotes is not closed", "close it with three quotes"},
		{"'=' after key", "there is no = after the key", `write key = "value", or # before a comment`},
		{"start of key", "this line is not a key, a table or a comment", `write key = "value", [table] or # comment`},
		{"expected newline", "there is text after the value", "put the whole value in quotes, or # before a comment"},
		{"after array value", "expected a comma or ] in this list", `write ["one", "two"], each item in quotes`},
		{"expected value but", "a list item is missing", `write ["one", "two"]`},
		{"expected value, not end", "the file ends where a value is expected", "write the rest of the file"},
		{"end of input", "the file ends where a key is expected", "write the rest of the file"},
		{"close", "the table name is not closed", "write [name] or [table.name]"},
		{"invalid escape", `"..." contains an invalid escape sequence`, escapeHint},
		{`after \`, `"..." contains an invalid escape sequence`, escapeHint},
		{"unicode", `"..." contains a \u without a character code`, escapeHint},
		{"control characters", "the line contains a control character", "remove it, or write it as \\u0000 in \"...\""},
		{"array is incomplete", "the list that starts here is not closed", "close it with ]"},
		{"nested more", "the brackets are nested too deeply", "close them"},
		{"inline table", "the table in { } is not closed, or a comma is missing", "write { one = 1, two = 2 }"},
	} {
		if strings.Contains(parserError, p.contains) {
			return p.message, p.hint
		}
	}
	return "invalid TOML: " + parserError, "see https://toml.io"
}
