package commands

import (
	"strings"
	"testing"

	"nomadctld/backends"
)

func TestCheckReachable(t *testing.T) {
	for status, want := range map[string]string{
		"running": "", "pending": "", "complete": "", "failed": "",
		"unknown": "its node n1 is disconnected from Nomad, and the allocation may still be running there",
		"lost":    "its node n1 is down, and the allocation may still be running there",
	} {
		err := checkReachable(backends.Allocation{ID: "12345678-0000", JobID: "web", Node: "n1", Status: status})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", status, err, want)
		}
	}
}
