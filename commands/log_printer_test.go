package commands

import (
	"bytes"
	"testing"

	"nomadctld/backends"
	"nomadctld/router"
)

func TestWhatIsMissingIsSaidWhereItIs(t *testing.T) {
	for name, tc := range map[string]struct {
		prefix string
		piece  backends.Piece
		want   string
		gone   bool
	}{
		"skipped":       {"", backends.Piece{Skipped: 1}, "begun\nnomadctld: 1 line skipped here: they came faster than this client reads\nnext\n", false},
		"of a job":      {"web ", backends.Piece{Skipped: 2}, "nomadctld: web 2 lines skipped here: they came faster than this client reads\nweb next\n", false},
		"deleted":       {"", backends.Piece{Gone: true}, "begun\nnomadctld: lines may be missing here: the log was rotated before they were read\nnext\n", true},
		"deleted, tail": {"web ", backends.Piece{Gone: true}, "nomadctld: web lines may be missing here: the log was rotated before they were read\nweb next\n", true},
	} {
		var out bytes.Buffer
		log := (&logPrinter{req: &router.Request{Stdout: &out, Stderr: &out, Bytes: router.Bytes{Stdout: &out, Stderr: &out}}}).task(tc.prefix)
		for _, p := range []backends.Piece{{Data: []byte("begun")}, tc.piece, {Data: []byte("next\n")}} {
			if err := log.print(p); err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != tc.want || log.gone != tc.gone {
			t.Errorf("%s: got %q, gone %v, want %q, %v", name, &out, log.gone, tc.want, tc.gone)
		}
	}
}
