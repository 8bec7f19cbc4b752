package audit

import (
	"testing"
	"time"
)

// TestEncode_Reload expects no fields of a client.
func TestEncode_Reload(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, e := range map[string]Event{
		`{"event":"reload","time":"2026-01-02T03:04:05Z","cause":"SIGHUP","changes":["users.ann removed"]}`: {
			Kind: Reload, Time: at, Cause: "SIGHUP", Changes: []string{"users.ann removed"},
		},
		`{"event":"reload","time":"2026-01-02T03:04:05Z","cause":"SIGHUP","error":"x"}`: {
			Kind: Reload, Time: at, Cause: "SIGHUP", Error: "x",
		},
	} {
		if got, err := e.encode(); string(got) != want+"\n" || err != nil {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}
