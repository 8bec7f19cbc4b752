package commands

import (
	"testing"

	"nomadctld/backends"
)

func TestJobFilter(t *testing.T) {
	for _, tc := range []struct {
		filter, id string
		want       bool
	}{
		{"web", "p-team1-web", true},
		{"", "p-team1-web", true},
		{"WEB", "p-team1-web", false},
		{"p-*-web", "p-team1-web", true},
		{"p-*", "p-team1-web", true},
		{"*", "p-sync/periodic-1", true},
		{"p-*1", "p-sync/periodic-1", true},
		{"p-sync/periodic-?", "p-sync/periodic-1", true},
		{"team*", "p-team1-web", false},
		{"p-?", "p-web", false},
		{"[*", "[a", true},
		{"[a-z]*", "b", false},
		{`\*`, `\b`, true},
		{"?", "ü", true},
	} {
		if got := jobFilter([]string{tc.filter})(backends.Job{ID: tc.id}); got != tc.want {
			t.Errorf("filter %q on %q: got %v, want %v", tc.filter, tc.id, got, tc.want)
		}
	}
	if !jobFilter(nil)(backends.Job{ID: "x"}) {
		t.Error("without a filter: got false, want true")
	}
}
