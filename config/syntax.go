package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// parse returns the file as a tree, or nil when it is not TOML: then those faults are all that can be known, since
// any other may follow from them.
func (r *report) parse() *node {
	const enough = 10
	root := &node{kind: unstable.Table, key: -1, at: -1}
	syntax := &report{file: r.file, src: r.src, lines: r.lines}
	for base := 0; base < len(r.src) && len(syntax.diagnostics) < enough; {
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
		if bad := (*unstable.ParserError)(nil); errors.As(err, &bad) {
			at += cap(p.Data()) - cap(bad.Highlight) // how Parser.Range finds the offset, but it panics
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
	// statementPattern is how a line begins that is a header or a setting: the place to go on after a fault.
	statementPattern = regexp.MustCompile(`(?m)^[ \t]*(\[[\w.-]+\][ \t]*(#.*)?$|[\w-]+[ \t]*=)`)
	listPattern      = regexp.MustCompile(`(?m)^[ \t]*[\w.-]+[ \t]*=[ \t]*\[`)
	bareWordPattern  = regexp.MustCompile(`^[\w./:@%+-]{1,40}`)
)

// reportSyntaxError reports a fault of syntax at an offset in plain words, and returns the offset to go on from.
func (r *report) reportSyntaxError(at int, parser string) int {
	start := r.lines[r.line(at)-1]
	next := r.lineEnd(at)
	message, mend := explainParserError(parser)
	switch word := r.wordAt(at, start); {
	case strings.Contains(parser, "array is incomplete"):
		at = r.listStart(at)
	case r.isUnclosedList(at, start, parser):
		message, mend = explainParserError("array is incomplete")
		at, next = r.listStart(at), start
	case strings.Contains(parser, "not terminated by"):
		at = max(bytes.LastIndex(r.src, []byte(`"""`)), bytes.LastIndex(r.src, []byte(`'''`)))
	case message == unquoted && (strings.EqualFold(word, "true") || strings.EqualFold(word, "false")):
		mend = "write " + strings.ToLower(word)
	case message == unquoted && word != "":
		message, mend = fmt.Sprintf("the value %s is not in quotes", word), fmt.Sprintf("quote it: %q", word)
	}
	r.errorf(at, mend, "%s", message)
	if again := statementPattern.FindIndex(r.src[next:]); again != nil {
		return next + again[0]
	}
	return len(r.src)
}

// isUnclosedList reports whether a list that was not closed ran into the next line: the parser then stumbles over the
// beginning of a statement, which is where a list may have a value.
func (r *report) isUnclosedList(at, start int, parser string) bool {
	inList := strings.Contains(parser, "array value") || strings.Contains(parser, "expected keyword") ||
		strings.Contains(parser, "start of value")
	return inList && len(bytes.Trim(r.src[start:at], " \t[")) == 0 && statementPattern.Match(r.src[start:r.lineEnd(at)])
}

// listStart is the offset of the bracket that opened the last list before at.
func (r *report) listStart(at int) int {
	if open := listPattern.FindAllIndex(r.src[:at], -1); open != nil {
		return open[len(open)-1][1] - 1
	}
	return at
}

// lineEnd is the end of the line that at is on.
func (r *report) lineEnd(at int) int {
	if n := bytes.IndexByte(r.src[at:], '\n'); n >= 0 {
		return at + n
	}
	return len(r.src)
}

// wordAt is the value around an offset, if it is one short word that is safe to show and nothing but a quote, a comma,
// a bracket or a comment comes after it.
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

// explainParserError says what the parser says in the words of somebody who edits a config file.
func explainParserError(parser string) (message, mend string) {
	for _, p := range []struct{ has, message, mend string }{
		{"start of value", unquoted, "put it between double quotes"},
		{"expected keyword", unquoted, "put it between double quotes"},
		{"must be quoted", unquoted, "put it between double quotes"},
		{"have new lines", "a quote is missing at the end of this line", "close the string with the quote it began with"},
		{"unterminated", "a quote is missing at the end of this line", "close the string with the quote it began with"},
		{"not terminated by", "the text that begins with three quotes is never closed", "close it with three quotes"},
		{"'=' after key", "there is no = after the key", `write key = "value"; what is no setting begins with #`},
		{"start of key", "this is neither a setting nor a table", `write key = "value" or [table]; a comment begins with #`},
		{"expected newline", "there is more on the line after the value", "put the whole value in quotes, or a # before the rest"},
		{"after array value", "the items of a list are not separated here", `write ["one", "two"], each item in quotes`},
		{"expected value but", "an item of the list is missing", `write ["one", "two"]`},
		{"expected value, not end", "the file ends where a value is expected", "write the rest of the file"},
		{"end of input", "the file ends where a key is expected", "write the rest of the file"},
		{"close", "the name of the table is not closed", "write [name] or [table.name]"},
		{"invalid escape", `a backslash in "..." does not stand for itself`, `write \\ for each \, or use '...'`},
		{`after \`, `a backslash in "..." does not stand for itself`, `write \\ for each \, or use '...'`},
		{"unicode", `a \u in "..." is not followed by the number of a character`, `write \\ for each \, or use '...'`},
		{"control characters", "there is a control character", "remove it, or write it as \\u0000 in \"...\""},
		{"array is incomplete", "the list that begins here is never closed", "close it with ]"},
		{"nested more", "brackets are nested too deeply here", "close them"},
		{"inline table", "the table in { } is not closed or lacks a comma", "write { one = 1, two = 2 }"},
	} {
		if strings.Contains(parser, p.has) {
			return p.message, p.mend
		}
	}
	return "this is not TOML: " + parser, "see https://toml.io"
}
