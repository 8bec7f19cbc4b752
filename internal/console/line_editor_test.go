package console

import (
	"strings"
	"testing"

	"nomadctld/backends"
)

// typeKeys feeds keys one by one and returns the results up to the first event.
func typeKeys(e *lineEditor, keys string) (lines, echo string, event editorEvent) {
	for i := range len(keys) {
		l, s, event := e.feed(keys[i])
		lines, echo = lines+string(l), echo+string(s)
		if event != eventNone {
			return lines, echo, event
		}
	}
	return lines, echo, eventNone
}

func TestLineEditor(t *testing.T) {
	const rub = "\b \b"
	for name, c := range map[string]struct {
		keys, lines, echo string
		event             editorEvent
	}{
		"a line":                           {"ab\r", "ab\n", "ab\r\n", eventNone},
		"a line with LF":                   {"ab\n", "ab\n", "ab\r\n", eventNone},
		"lines":                            {"a\rb\r\rc", "a\nb\n\n", "a\r\nb\r\n\r\nc", eventNone},
		"half a line":                      {"ab", "", "ab", eventNone},
		"erase":                            {"ab\x7fc\r", "ac\n", "ab" + rub + "c\r\n", eventNone},
		"erase with the other key":         {"ab\bc\r", "ac\n", "ab" + rub + "c\r\n", eventNone},
		"erase nothing":                    {"\x7f\x7fa\r", "a\n", "a\r\n", eventNone},
		"erase two bytes":                  {"é\x7fx\r", "x\n", "é" + rub + "x\r\n", eventNone},
		"erase a wide character":           {"日\x7fx\r", "x\n", "日" + rub + rub + "x\r\n", eventNone},
		"erase a combined character":       {"ae\u0301\x7fx\r", "ax\n", "ae\u0301" + rub + "x\r\n", eventNone},
		"erase a lone combining character": {"\u0301\x7fx\r", "x\n", "\u0301x\r\n", eventNone},
		"erase a control character":        {"\x01\x7fx\r", "x\n", "^A" + rub + rub + "x\r\n", eventNone},
		"erase half a character":           {"\xc3\x7fx\r", "x\n", "\xc3" + rub + "x\r\n", eventNone},
		"erase invalid UTF-8":              {"a\xff\xfe\x7fx\r", "a\xffx\n", "a\xff\xfe" + rub + "x\r\n", eventNone},
		"erase a word":                     {"a b  \x17x\r", "a x\n", "a b  " + rub + rub + rub + "x\r\n", eventNone},
		"erase the only word":              {"é\x17\x17x\r", "x\n", "é" + rub + "x\r\n", eventNone},
		"kill":                             {"ab日\x15x\r", "x\n", "ab日" + strings.Repeat(rub, 4) + "x\r\n", eventNone},
		"a sent line stays":                {"ab\r\x7f\x15\x17c\r", "ab\nc\n", "ab\r\nc\r\n", eventNone},
		"EOF":                              {"\x04ab\r", "", "", eventEOF},
		"EOF after a line":                 {"ab\r\x04", "ab\n", "ab\r\n", eventEOF},
		"half a line is sent":              {"ab\x04c\r", "abc\n", "abc\r\n", eventNone},
		"half a line, then EOF":            {"ab\x04\x04", "ab", "ab", eventEOF},
		"interrupt":                        {"ab\x03c\r", "", "ab^C\r\n", eventInterrupt},
		"quit":                             {"\x1c", "", "^\\\r\n", eventInterrupt},
		"literal":                          {"\x16\x03\x16\x7f\x16\r\r", "\x03\x7f\r\n", "^\b^C^\b^?^\b^M\r\n", eventNone},
		"an arrow":                         {"\x1b[A\r", "\x1b[A\n", "^[[A\r\n", eventNone},
		"a tab":                            {"a\tb\r", "a\tb\n", "a^Ib\r\n", eventNone},
		"reprint":                          {"ab\x12", "", "ab^R\r\nab", eventNone},
		"suspend and flow control":         {"\x1a\x13\x11a\r", "a\n", "\aa\r\n", eventNone},
		"line too long": {
			strings.Repeat("x", maxTypedLine+2) + "\r", strings.Repeat("x", maxTypedLine) + "\n",
			strings.Repeat("x", maxTypedLine) + "\a\a\r\n", eventNone,
		},
		"NUL": {"\x00\r", "\x00\n", "^@\r\n", eventNone},
	} {
		if lines, echo, event := typeKeys(newLineEditor(nil, nil), c.keys); lines != c.lines || echo != c.echo ||
			event != c.event {
			t.Errorf("%s: got %q, %q, %d, want %q, %q, %d", name, lines, echo, event, c.lines, c.echo, c.event)
		}
	}
}

func TestLineEditor_DetachKeys(t *testing.T) {
	for name, c := range map[string]struct {
		detach, keys, lines, echo string
		event                     editorEvent
	}{
		"detach":                      {"ctrl-p,ctrl-q", "\x10\x11", "", "", eventDetach},
		"within a line":               {"ctrl-p,ctrl-q", "a\rb\x10\x11", "a\n", "a\r\nb\r\n", eventDetach},
		"one key":                     {"x", "ax", "", "a\r\n", eventDetach},
		"only the first":              {"ctrl-p,ctrl-q", "\x10a\r", "\x10a\n", "^Pa\r\n", eventNone},
		"the first twice":             {"ctrl-p,ctrl-q", "\x10\x10\x11", "", "^P\r\n", eventDetach},
		"interrupted by a line":       {"a,b", "a\rb\r", "a\nb\n", "a\r\nb\r\n", eventNone},
		"interrupt key as detach key": {"ctrl-c,ctrl-c", "\x03\x03", "", "", eventDetach},
		"interrupt key not completed": {"ctrl-c,ctrl-c", "\x03a", "", "^C\r\n", eventInterrupt},
		"literal":                     {"ctrl-q", "\x16\x11\r", "\x11\n", "^\b^Q\r\n", eventNone},
		"EOF is not a detach key":     {"ctrl-q", "\x04", "", "", eventEOF},
	} {
		if lines, echo, event := typeKeys(newLineEditor(nil, backends.ParseDetachKeys(c.detach)), c.keys); lines != c.lines ||
			echo != c.echo || event != c.event {
			t.Errorf("%s: got %q, %q, %d, want %q, %q, %d", name, lines, echo, event, c.lines, c.echo, c.event)
		}
	}
}

func TestLineEditor_TerminalModes(t *testing.T) {
	modes := backends.TerminalModes{
		backends.ModeErase: '#', backends.ModeKill: '@', backends.ModeEOF: 5, backends.ModeIntr: 7, backends.ModeQuit: 255,
		backends.ModeWerase: 255,
	}
	for keys, want := range map[string]string{
		"ab#c\r": "ac\n", "ab@c\r": "c\n", "a\x04\r": "a\x04\n",
		"a\x03\r": "a\x03\n", "a\x1c\x17\r": "a\x1c\x17\n", "a\x00\r": "a\x00\n",
	} {
		if lines, _, event := typeKeys(newLineEditor(modes, nil), keys); lines != want || event != eventNone {
			t.Errorf("%q: got %q, %d, want %q", keys, lines, event, want)
		}
	}
	if _, _, event := typeKeys(newLineEditor(modes, nil), "\x05"); event != eventEOF {
		t.Errorf("EOF: got %d", event)
	}
	if _, _, event := typeKeys(newLineEditor(modes, nil), "\x07"); event != eventInterrupt {
		t.Errorf("interrupt: got %d", event)
	}
	modes[backends.ModeEcho] = 0
	if lines, echo, _ := typeKeys(newLineEditor(modes, nil), "secret#\r"); lines != "secre\n" || echo != "" {
		t.Errorf("without echo: got %q, %q", lines, echo)
	}
}

// FuzzLineEditor checks that the lines are never longer than the typed keys, and that the echo has no control
// characters except the editor's own.
func FuzzLineEditor(f *testing.F) {
	f.Add("ab\x7f\xc3\xa9\x17\r\x10\x11", "ctrl-p,ctrl-q")
	f.Fuzz(func(t *testing.T, keys, detach string) {
		lines, echo, _ := typeKeys(newLineEditor(nil, backends.ParseDetachKeys(detach)), keys)
		if len(lines) > len(keys) {
			t.Errorf("%q became %q", keys, lines)
		}
		if i := strings.IndexFunc(echo,
			func(r rune) bool { return r < ' ' && r != '\r' && r != '\n' && r != '\b' && r != '\a' }); i >= 0 {
			t.Errorf("%q shows %q", keys, echo)
		}
	})
}
