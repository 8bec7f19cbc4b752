package console

import (
	"bytes"
	"testing"
)

func TestProgressLine(t *testing.T) {
	for name, tc := range map[string]struct {
		terminal *Terminal
		print    func(*ProgressLine)
		want     string
	}{
		"no terminal": {nil, func(p *ProgressLine) {
			p.Transientf("%d of 2", 1)
			p.Printf("done")
			p.Clear()
		}, "1 of 2\ndone\n"},
		"no terminal, repeated": {nil, func(p *ProgressLine) {
			p.Transientf("waiting")
			p.Transientf("waiting")
		}, "waiting\n"},
		"overwritten": {NewTerminal("xterm", 80, 24), func(p *ProgressLine) {
			p.Transientf("%d of 2", 1)
			p.Transientf("%d of 2", 2)
			p.Printf("done")
			p.Printf("again")
		}, "\r1 of 2\x1b[K\r2 of 2\x1b[K\r\x1b[Kdone\nagain\n"},
		"repeated": {NewTerminal("xterm", 80, 24), func(p *ProgressLine) {
			p.Transientf("waiting")
			p.Transientf("waiting")
		}, "\rwaiting\x1b[K"},
		"cleared once": {NewTerminal("xterm", 80, 24), func(p *ProgressLine) {
			p.Transientf("waiting")
			p.Clear()
			p.Clear()
		}, "\rwaiting\x1b[K\r\x1b[K"},
		"narrow": {NewTerminal("xterm", 8, 24), func(p *ProgressLine) {
			p.Transientf("a long message")
			p.Printf("a long message")
		}, "\ra long…\x1b[K\r\x1b[Ka long\nmessage\n"},
		"untrusted": {nil, func(p *ProgressLine) { p.Printf("job %s", "a\nb") }, "job a\\nb\n"},
	} {
		var out bytes.Buffer
		c := &Console{Stdout: &out, Stderr: &out, Terminal: tc.terminal}
		tc.print(c.NewProgressLine())
		if out.String() != tc.want {
			t.Errorf("%s: got %q, want %q", name, out.String(), tc.want)
		}
	}
}

func TestStatusf_Stream(t *testing.T) {
	var stdout, stderr bytes.Buffer
	c := &Console{Stdout: &stdout, Stderr: &stderr}
	c.Statusf("warning: %s", "low")
	if stdout.Len() > 0 || stderr.String() != "warning: low\n" {
		t.Errorf("got %q and %q on stderr, want the message on stderr", stdout.String(), stderr.String())
	}
}
