package config

import (
	"os"
	"strings"
	"testing"
)

func TestMetrics_Bind(t *testing.T) {
	long := "unix:/run/" + strings.Repeat("x", 110)
	for _, test := range []struct{ bind, want, diagnostic string }{
		{"", "", ""},
		{"127.0.0.1:9122", "127.0.0.1:9122", ""},
		{":9122", "127.0.0.1:9122", ""},
		{"[::1]:9122", "[::1]:9122", ""},
		{"0.0.0.0:9122", "0.0.0.0:9122", ""},
		{"unix:/run/nomadctld/metrics.sock", "unix:/run/nomadctld/metrics.sock", ""},
		{"9122", "", `metrics.bind is not a listen address: "9122"; write host:port or :port`},
		{"unix:metrics.sock", "", `metrics.bind is not the path of a socket: "unix:metrics.sock"; write unix: and an`},
		{"unix:", "", `metrics.bind is not the path of a socket: "unix:"`},
		{long, "", "metrics.bind: the path of a unix socket can have at most 107 bytes"},
	} {
		writeAccessFiles(t, accessConfig+"[metrics]\nbind = \""+test.bind+"\"\n")
		c, diagnostics := load("nomadctld.toml", nil, environment{uid: os.Geteuid()})
		switch {
		case test.diagnostic == "" && (c == nil || c.Metrics.Bind != test.want):
			t.Errorf("%s: got %+v, %v, want %s", test.bind, c, diagnostics, test.want)
		case test.diagnostic != "" && (len(diagnostics) != 1 || c != nil ||
			!strings.Contains(diagnostics[0].String(), test.diagnostic)):
			t.Errorf("%s: got %v, want %q", test.bind, diagnostics, test.diagnostic)
		}
	}
}

// TestMetrics_SocketDirectory checks that a socket cannot be in a directory in which every user can replace it.
func TestMetrics_SocketDirectory(t *testing.T) {
	writeAccessFiles(t, accessConfig)
	dir, err := os.Getwd()
	fatal(t, err)
	fatal(t, os.Mkdir("open", 0o755))
	fatal(t, os.Chmod("open", 0o777))
	text, err := os.ReadFile("nomadctld.toml")
	fatal(t, err)
	fatal(t, os.WriteFile("nomadctld.toml", append(text, "[metrics]\nbind = \"unix:"+dir+"/open/socket\"\n"...), 0o600))
	_, diagnostics := load("nomadctld.toml", nil, environment{uid: os.Geteuid()})
	if len(diagnostics) != 1 || !strings.Contains(diagnostics[0].String(), "is world-writable") {
		t.Errorf("got %v, want a refusal", diagnostics)
	}
}
