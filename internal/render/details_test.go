package render

import (
	"strings"
	"testing"
)

func testDetails(style Style) *Details {
	d := NewDetails(style)
	d.Heading("p-web", "1/2", "", "", Warn)
	d.ColoredFact("Reason", "", "db not placed: memory exhausted on 2 nodes", Warn)
	d.Heading("0123456789", "failed", "2m ago", "web/app|x", Bad)
	d.Fact("Address", "http", "192.0.2.1:20001")
	d.Fact("Address", "admin", "192.0.2.1:20002")
	d.Event("2m ago", "Killing", "vault: error\n\n  \x1b[31m* second line\r\n\tthird\u202e")
	d.Event("2m ago", "A very long kind of event", "text")
	return d
}

func TestDetails_Pipe(t *testing.T) {
	want := `p-web |1/2    | |
      |Reason | |db not placed: memory exhausted on 2 nodes

0123456789 |failed  |2m ago                    |web/app|x
           |Address |http                      |192.0.2.1:20001
           |Address |admin                     |192.0.2.1:20002
           |2m ago  |Killing                   |vault: error \x1b[31m* second line third\u202e
           |2m ago  |A very long kind of event |text
`
	if got := testDetails(Style{}).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDetails_Terminal(t *testing.T) {
	want := `p-web  1/2
  Reason  db not placed: memory
          exhausted on 2 nodes

0123456789  failed  2m ago  web/app|x
  Address  http     192.0.2.1:20001
           admin    192.0.2.1:20002
  2m ago   Killing  vault: error
                    \x1b[31m* second
                    line
                        third\u202e
  2m ago   A very long kind of event
           text
`
	if got := testDetails(Style{Width: 40}).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDetails_Colors(t *testing.T) {
	got := testDetails(Style{Width: 80, Color: true}).String()
	for _, want := range []string{
		"p-web  " + string(Warn) + "1/2\x1b[0m\n",
		"Reason  " + string(Warn) + "db not placed: memory exhausted on 2 nodes\x1b[0m",
		"0123456789  " + string(Bad) + "failed\x1b[0m  2m ago",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	if n := strings.Count(got, "\x1b"); n != 6 {
		t.Errorf("got %d escape sequences, want 6: %q", n, got)
	}
}

func TestDetails_LongNames(t *testing.T) {
	d := NewDetails(Style{Width: 40})
	name := strings.Repeat("x", 30) + strings.Repeat("y", 30)
	d.Heading(name, "b", "c", "d", "")
	d.Fact("Needs", name, "text")
	want := strings.Repeat("x", 30) + strings.Repeat("y", 8) + "\n  " + strings.Repeat("y", 22) + "  b  c  d\n" +
		"  Needs  " + strings.Repeat("x", 20) + "…" + strings.Repeat("y", 10) + "\n         text\n"
	if got := d.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDetails_LongWord(t *testing.T) {
	d := NewDetails(Style{Width: 40})
	d.Heading("a", "b", "", "", "")
	d.Event("9m ago", "Template", "Missing: nomad.var.block(nomad/jobs/p-web)")
	want := "a  b\n  9m ago  Template\n          Missing:\n          nomad.var.block(nomad/jobs/p-w\n          eb)\n"
	if got := d.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
