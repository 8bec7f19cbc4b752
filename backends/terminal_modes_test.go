package backends

import (
	"maps"
	"strings"
	"testing"
)

func TestParseTerminalModes(t *testing.T) {
	mode := func(opcode byte, value string) string { return string(opcode) + value }
	erase, iutf8 := mode(3, "\x00\x00\x00\x08"), mode(42, "\x00\x00\x00\x01")
	for name, c := range map[string]struct {
		encoded string
		want    TerminalModes
	}{
		"none":                    {"", TerminalModes{}},
		"only the end":            {"\x00", TerminalModes{}},
		"two and the end":         {erase + iutf8 + "\x00", TerminalModes{3: 8, 42: 1}},
		"without the end":         {erase + iutf8, TerminalModes{3: 8, 42: 1}},
		"after the end":           {erase + "\x00" + iutf8, TerminalModes{3: 8}},
		"unknown":                 {mode(120, "\x00\x00\x00\x01") + erase, TerminalModes{120: 1, 3: 8}},
		"opcode above maxOpcode":  {erase + "\xa0" + iutf8, TerminalModes{3: 8}},
		"twice":                   {erase + mode(3, "\x00\x00\x00\x7f"), TerminalModes{3: 0x7f}},
		"cut in the value":        {erase + "\x2a\x00\x00\x00", nil},
		"cut after the opcode":    {"\x03", nil},
		"as many as there can be": {strings.Repeat(erase, 160), TerminalModes{3: 8}},
		"too many":                {strings.Repeat(erase, 161), nil},
	} {
		got, err := ParseTerminalModes(c.encoded)
		if !maps.Equal(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, c.want)
		}
	}
}

func TestTerminalModes_Stty(t *testing.T) {
	for name, c := range map[string]struct {
		modes        TerminalModes
		chars, flags string
	}{
		"none": {nil, "", ""},
		"characters": {
			TerminalModes{1: 3, 3: 8, 4: 127, 5: '9', 6: 255, 7: 0, 8: 200, 9: 1 << 31},
			"intr ^C erase ^H kill 127 eof 57 eol undef eol2 undef start 200 stop undef", "",
		},
		"flags":           {TerminalModes{42: 1, 53: 0, 38: 7, 93: 0}, "", "ixon iutf8 -echo -parodd"},
		"sizes of a byte": {TerminalModes{90: 0, 91: 1}, "", "cs8"},
		"unknown to stty": {TerminalModes{11: 25, 15: 15, 17: 20, 18: 15, 62: 1, 120: 1, 128: 9600, 129: 9600}, "", ""},
	} {
		if chars, flags := c.modes.Stty(); chars != c.chars || flags != c.flags {
			t.Errorf("%s: got %q, %q, want %q, %q", name, chars, flags, c.chars, c.flags)
		}
	}
	all := TerminalModes{}
	for opcode := range byte(160) {
		for _, value := range []uint32{0, 1, 9, '\'', '*', '$', 254, 1 << 31} {
			all[opcode] = value
			chars, flags := all.Stty()
			if strings.Trim(chars+flags, "abcdefghijklmnopqrstuvwxyz0123456789 -^@ABCDEFGHI") != "" {
				t.Errorf("opcode %d, value %d: got %q, %q: a shell might change them", opcode, value, chars, flags)
			}
		}
	}
}
