package cmdline

import "testing"

func TestFrom(t *testing.T) {
	for _, c := range []struct {
		line string
		n    int
		want string
	}{
		{"exec ID -c a | b", 3, "a | b"},
		{`exec  ID	-c  echo "x  y" 'z'  # no comment `, 3, `echo "x  y" 'z'  # no comment `},
		{`exec "I D" -c 'a | b'`, 3, `'a | b'`},
		{`exec 'a'"b"\ c d`, 2, "d"},
		{`exec '' x`, 2, "x"},
		{`exec # x`, 2, "x"},
		{`exec ü€ é`, 2, "é"},
		{"exec ID", 2, ""},
		{"exec ID", 9, ""},
	} {
		if got, err := From(c.line, c.n); got != c.want || err != nil {
			t.Errorf("%q from word %d: got %q, %v, want %q", c.line, c.n, got, err, c.want)
		}
	}
}

func FuzzWordStarts(f *testing.F) {
	for _, line := range []string{"a b", `a "b c" 'd\' e\ f`, `#a \#b # c`, "a\\\nb", `''""`, `a""b ""`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Split(line)
		if err != nil {
			return
		}
		begins := wordStarts(line)
		if len(begins) != len(words) {
			t.Fatalf("%q: %d words %q start at %v", line, len(words), words, begins)
		}
		for i, begin := range begins {
			rest, err := Split(line[begin:])
			if err != nil || len(rest) != len(words)-i || rest[0] != words[i] {
				t.Fatalf("%q from word %d: got %q, %v, want %q", line, i, rest, err, words[i:])
			}
		}
	})
}
