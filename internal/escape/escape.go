// Package escape makes untrusted text safe to display. Job IDs, event messages, node names and command lines may
// contain escape sequences that an attacker chose. Such text must pass through this package before it reaches a
// terminal, a log or a table.
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

// hazardous reports whether r can move a cursor, or hide or reorder text: controls (C0, C1, DEL), formatting
// characters (bidi controls and zero-width characters), line and paragraph separators, private use.
func hazardous(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs)
}

// Text returns s on one line, with every hazardous character and every invalid byte written as a Go escape (\x1b,
// \u202e). Printable text is returned unchanged.
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

// Line is Text for one line of a program's output. Tabs stay and a carriage return at the end is removed. Color
// sequences are kept if colors is set, with a reset at the end of the line; otherwise they are removed.
func Line(s string, colors bool) string {
	s = strings.TrimSuffix(s, "\r")
	if printable(s) {
		return s
	}
	var b strings.Builder
	colored := false
	for s != "" {
		text, rest, tab := strings.Cut(s, "\t")
		for text != "" {
			at := colorSequence.FindStringIndex(text)
			if at == nil {
				b.WriteString(Text(text))
				break
			}
			b.WriteString(Text(text[:at[0]]))
			if colors {
				b.WriteString(text[at[0]:at[1]])
				colored = true
			}
			text = text[at[1]:]
		}
		if tab {
			b.WriteByte('\t')
		}
		s = rest
	}
	if colored {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

// colorSequence matches sequences that only set colors and weights.
var colorSequence = regexp.MustCompile("\x1b\\[[0-9;:]*m")

// printable reports whether s needs no escaping. It is false for U+FFFD, which Text keeps.
func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || hazardous(r) {
			return false
		}
	}
	return true
}

// JSON returns v as JSON in which every hazardous character in a string is written as \uXXXX. Programs read the same
// value, and a terminal cannot interpret it. indent is one level of indentation; with "" the result is one line. It
// does not end in a newline.
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
		case r == '\n' || !hazardous(r): // newlines outside strings are JSON's own; inside strings they are already escaped
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
