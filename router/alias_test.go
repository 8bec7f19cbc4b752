package router

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nomadctld/config"
)

// TestExpandAlias_CheckAgrees loads aliases as `nomadctld check` does, and uses them.
func TestExpandAlias_CheckAgrees(t *testing.T) {
	register(t, Spec{Name: "probe", Target: TargetNone, Args: "[ARG...]"},
		func(context.Context, *Request) error { return nil })
	for text, valid := range map[string]bool{
		"probe":                     true,
		"probe 'a b' -n 3":          true,
		"probe #web":                true,
		"probe a#b":                 true,
		"probe # 'x":                false,
		"# probe":                   false,
		"#":                         false,
		"":                          false,
		" \t ":                      false,
		"probe 'a":                  false,
		`probe "a`:                  false,
		`probe a\`:                  false,
		"probe \x00":                false,
		"probe a\nb":                true,
		strings.Repeat("a ", 10001): false,
	} {
		if got := !checkRefuses(t, text); got != valid {
			t.Errorf("alias %.20q: check accepts it: %v, want %v", text, got, valid)
		}
		w := newTestGateway()
		w.Aliases = map[string]string{"x": text}
		err := w.run("x")
		if got := err == nil || !strings.Contains(err.Error(), "alias x in the gateway's configuration"); got != valid {
			t.Errorf("alias %.20q: the gateway accepts it: %v (%v), want %v", text, got, err, valid)
		}
	}
}

// checkRefuses reports whether config.Load reports an error about the alias.
func checkRefuses(t *testing.T, text string) bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nomadctld.toml")
	toml := "[alias]\nx = " + strings.ReplaceAll(strconv.Quote(text), `\x00`, `\u0000`) + "\n"
	if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	_, diagnostics := config.Load(file, nil)
	for _, d := range diagnostics {
		if !d.Warning && strings.HasPrefix(d.Message, "alias.x") {
			return true
		}
	}
	return false
}
