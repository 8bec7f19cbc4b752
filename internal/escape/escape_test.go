package escape

import (
	"encoding/json"
	"testing"
)

func TestText(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"p-team1-web", "p-team1-web"},
		{"日本 ümlaut 👍", "日本 ümlaut 👍"},
		{"\x1b[31mred", `\x1b[31mred`},
		{"two\nlines\r\tand tab", `two\nlines\r\tand tab`},
		{"nul\x00del\x7f", `nul\x00del\x7f`},
		{"c1 \u009b31m", `c1 \x9b31m`},
		{"bidi \u202eevil", `bidi \u202eevil`},
		{"zero\u200bwidth", `zero\u200bwidth`},
		{"line\u2028sep", `line\u2028sep`},
		{"bad \xff\xfe", `bad \xff\xfe`},
		{"tag \U000e0041", `tag \U000e0041`},
	} {
		if got := Text(tc.in); got != tc.want {
			t.Errorf("Text(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestJSON(t *testing.T) {
	in := map[string]string{"id": "a\x1b\u009b\u202e\u2028\U000e0041<&>\x7f\n"}
	for _, indent := range []string{"", "  "} {
		b, err := JSON(in, indent)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range string(b) {
			if r != '\n' && hazardous(r) {
				t.Errorf("JSON left %U in %q", r, b)
			}
		}
		var out map[string]string
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		if out["id"] != in["id"] {
			t.Errorf("got %q, want %q", out["id"], in["id"])
		}
	}
}
