// Package escape makes foreign text safe to show. Job IDs, event messages, node names and command lines come
// from people who may mean harm: an escape sequence in any of them must not reach a terminal, a log or a table.
package escape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// hazardous reports whether r can move a cursor, hide or reorder text: controls (C0, C1, DEL), formatting
// characters (bidi controls and zero-width ones), line and paragraph separators, private use.
func hazardous(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs)
}

// Text returns s on one line with every hazardous character and every invalid byte written as a Go escape
// (\x1b, \u202e). Printable text comes back as it is.
func Text(s string) string {
	if printable(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case !hazardous(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// Line is Text for a line of a program's own output: tabs stay, a carriage return at the end goes, and the sequences that
// set colours stay if colours are wanted, with a reset at the end; without, they are left out.
func Line(s string, colours bool) string {
	s = strings.TrimSuffix(s, "\r")
	if printable(s) {
		return s
	}
	var b strings.Builder
	coloured := false
	for s != "" {
		text, rest, tab := strings.Cut(s, "\t")
		for text != "" {
			at := colorSequence.FindStringIndex(text)
			if at == nil {
				b.WriteString(Text(text))
				break
			}
			b.WriteString(Text(text[:at[0]]))
			if colours {
				b.WriteString(text[at[0]:at[1]])
				coloured = true
			}
			text = text[at[1]:]
		}
		if tab {
			b.WriteByte('\t')
		}
		s = rest
	}
	if coloured {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

// colorSequence is a sequence that does nothing but set colours and weights.
var colorSequence = regexp.MustCompile("\x1b\\[[0-9;:]*m")

func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || hazardous(r) {
			return false
		}
	}
	return true
}

// JSON returns v as JSON in which every hazardous character is written as \uXXXX, so that it means the same to
// a program and nothing to a terminal. indent is one level of indentation; empty puts everything on one line.
// There is no newline at the end.
func JSON(v any, indent string) ([]byte, error) {
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, r := range string(bytes.TrimSuffix(raw.Bytes(), []byte("\n"))) {
		switch {
		case r == '\n' || !hazardous(r): // outside of strings JSON has newlines of its own; inside they are escaped
			out.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		}
	}
	return out.Bytes(), nil
}
