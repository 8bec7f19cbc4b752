package router

import (
	"strings"
	"testing"

	"nomadctld/backends"
)

// typeKeys feeds keys one by one and returns all that comes of them up to the first that asks for something.
func typeKeys(e *lineEditor, keys string) (lines, shown string, what editorEvent) {
	for i := range len(keys) {
		l, s, what := e.feed(keys[i])
		lines, shown = lines+string(l), shown+string(s)
		if what != eventNone {
			return lines, shown, what
		}
	}
	return lines, shown, eventNone
}

func TestLineEditor(t *testing.T) {
	const rub = "\b \b"
	for name, c := range map[string]struct {
		keys, lines, shown string
		what               editorEvent
	}{
		"a line":                       {"ab\r", "ab\n", "ab\r\n", eventNone},
		"a line of an LF":              {"ab\n", "ab\n", "ab\r\n", eventNone},
		"lines":                        {"a\rb\r\rc", "a\nb\n\n", "a\r\nb\r\n\r\nc", eventNone},
		"half a line":                  {"ab", "", "ab", eventNone},
		"erase":                        {"ab\x7fc\r", "ac\n", "ab" + rub + "c\r\n", eventNone},
		"erase with the other key":     {"ab\bc\r", "ac\n", "ab" + rub + "c\r\n", eventNone},
		"erase nothing":                {"\x7f\x7fa\r", "a\n", "a\r\n", eventNone},
		"erase two bytes":              {"é\x7fx\r", "x\n", "é" + rub + "x\r\n", eventNone},
		"erase a wide one":             {"日\x7fx\r", "x\n", "日" + rub + rub + "x\r\n", eventNone},
		"erase a combined one":         {"ae\u0301\x7fx\r", "ax\n", "ae\u0301" + rub + "x\r\n", eventNone},
		"erase only the combining one": {"\u0301\x7fx\r", "x\n", "\u0301x\r\n", eventNone},
		"erase a control character":    {"\x01\x7fx\r", "x\n", "^A" + rub + rub + "x\r\n", eventNone},
		"erase half a character":       {"\xc3\x7fx\r", "x\n", "\xc3" + rub + "x\r\n", eventNone},
		"erase what is not UTF-8":      {"a\xff\xfe\x7fx\r", "a\xffx\n", "a\xff\xfe" + rub + "x\r\n", eventNone},
		"erase a word":                 {"one two  \x17x\r", "one x\n", "one two  " + strings.Repeat(rub, 5) + "x\r\n", eventNone},
		"erase the only word":          {"é\x17\x17x\r", "x\n", "é" + rub + "x\r\n", eventNone},
		"kill":                         {"ab日\x15x\r", "x\n", "ab日" + strings.Repeat(rub, 4) + "x\r\n", eventNone},
		"a line that is sent stays":    {"ab\r\x7f\x15\x17c\r", "ab\nc\n", "ab\r\nc\r\n", eventNone},
		"the end":                      {"\x04ab\r", "", "", eventEOF},
		"the end after a line":         {"ab\r\x04", "ab\n", "ab\r\n", eventEOF},
		"half a line is sent":          {"ab\x04c\r", "abc\n", "abc\r\n", eventNone},
		"half a line, and the end":     {"ab\x04\x04", "ab", "ab", eventEOF},
		"interrupt":                    {"ab\x03c\r", "", "ab^C\r\n", eventInterrupt},
		"quit":                         {"\x1c", "", "^\\\r\n", eventInterrupt},
		"literal":                      {"\x16\x03\x16\x7f\x16\r\r", "\x03\x7f\r\n", "^\b^C^\b^?^\b^M\r\n", eventNone},
		"an arrow":                     {"\x1b[A\r", "\x1b[A\n", "^[[A\r\n", eventNone},
		"a tab":                        {"a\tb\r", "a\tb\n", "a^Ib\r\n", eventNone},
		"show again":                   {"ab\x12", "", "ab^R\r\nab", eventNone},
		"suspend, stop and go on":      {"\x1a\x13\x11a\r", "a\n", "\aa\r\n", eventNone},
		"too much":                     {strings.Repeat("x", maxTypedLine+2) + "\r", strings.Repeat("x", maxTypedLine) + "\n", strings.Repeat("x", maxTypedLine) + "\a\a\r\n", eventNone},
		"zero":                         {"\x00\r", "\x00\n", "^@\r\n", eventNone},
	} {
		if lines, shown, what := typeKeys(newLineEditor(nil, nil), c.keys); lines != c.lines || shown != c.shown || what != c.what {
			t.Errorf("%s: got %q, %q, %d, want %q, %q, %d", name, lines, shown, what, c.lines, c.shown, c.what)
		}
	}
}

func TestLineEditor_DetachKeys(t *testing.T) {
	for name, c := range map[string]struct {
		detach, keys, lines, shown string
		what                       editorEvent
	}{
		"detach":                   {"ctrl-p,ctrl-q", "\x10\x11", "", "", eventDetach},
		"within a line":            {"ctrl-p,ctrl-q", "a\rb\x10\x11", "a\n", "a\r\nb\r\n", eventDetach},
		"one key":                  {"x", "ax", "", "a\r\n", eventDetach},
		"only the first":           {"ctrl-p,ctrl-q", "\x10a\r", "\x10a\n", "^Pa\r\n", eventNone},
		"the first twice":          {"ctrl-p,ctrl-q", "\x10\x10\x11", "", "^P\r\n", eventDetach},
		"broken off by a line":     {"a,b", "a\rb\r", "a\nb\n", "a\r\nb\r\n", eventNone},
		"the interrupt is a key":   {"ctrl-c,ctrl-c", "\x03\x03", "", "", eventDetach},
		"the interrupt stays one":  {"ctrl-c,ctrl-c", "\x03a", "", "^C\r\n", eventInterrupt},
		"literal":                  {"ctrl-q", "\x16\x11\r", "\x11\n", "^\b^Q\r\n", eventNone},
		"the end of input is none": {"ctrl-q", "\x04", "", "", eventEOF},
	} {
		if lines, shown, what := typeKeys(newLineEditor(nil, backends.ParseDetachKeys(c.detach)), c.keys); lines != c.lines || shown != c.shown || what != c.what {
			t.Errorf("%s: got %q, %q, %d, want %q, %q, %d", name, lines, shown, what, c.lines, c.shown, c.what)
		}
	}
}

func TestLineEditor_TerminalModes(t *testing.T) {
	modes := backends.TerminalModes{
		backends.ModeErase: '#', backends.ModeKill: '@', backends.ModeEOF: 5, backends.ModeIntr: 7, backends.ModeQuit: 255, backends.ModeWerase: 255,
	}
	for keys, want := range map[string]string{"ab#c\r": "ac\n", "ab@c\r": "c\n", "a\x04\r": "a\x04\n", "a\x03\r": "a\x03\n", "a\x1c\x17\r": "a\x1c\x17\n", "a\x00\r": "a\x00\n"} {
		if lines, _, what := typeKeys(newLineEditor(modes, nil), keys); lines != want || what != eventNone {
			t.Errorf("%q: got %q, %d, want %q", keys, lines, what, want)
		}
	}
	if _, _, what := typeKeys(newLineEditor(modes, nil), "\x05"); what != eventEOF {
		t.Errorf("the end: got %d", what)
	}
	if _, _, what := typeKeys(newLineEditor(modes, nil), "\x07"); what != eventInterrupt {
		t.Errorf("the interrupt: got %d", what)
	}
	modes[backends.ModeEcho] = 0
	if lines, shown, _ := typeKeys(newLineEditor(modes, nil), "secret#\r"); lines != "secre\n" || shown != "" {
		t.Errorf("without an echo: got %q, %q", lines, shown)
	}
}

// FuzzLineEditor holds that what is sent is never longer than what was typed, and that nothing but the editor's own control
// characters is shown.
func FuzzLineEditor(f *testing.F) {
	f.Add("ab\x7f\xc3\xa9\x17\r\x10\x11", "ctrl-p,ctrl-q")
	f.Fuzz(func(t *testing.T, keys, detach string) {
		lines, shown, _ := typeKeys(newLineEditor(nil, backends.ParseDetachKeys(detach)), keys)
		if len(lines) > len(keys) {
			t.Errorf("%q became %q", keys, lines)
		}
		if i := strings.IndexFunc(shown, func(r rune) bool { return r < ' ' && r != '\r' && r != '\n' && r != '\b' && r != '\a' }); i >= 0 {
			t.Errorf("%q shows %q", keys, shown)
		}
	})
}
