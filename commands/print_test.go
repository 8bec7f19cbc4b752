package commands

import (
	"bytes"
	"testing"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/router"
)

func TestPrintWarnings_OneLineEach(t *testing.T) {
	var stderr bytes.Buffer
	req := &router.Request{Console: &console.Console{Stderr: &stderr}}
	printWarnings(req, backends.WriteResult{Warnings: []string{"group \"web\" defines services", "second\x1b[2J"}})
	const want = "Nomad warns: group \"web\" defines services\nNomad warns: second\\x1b[2J\n"
	if got := stderr.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
