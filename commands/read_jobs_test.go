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

func TestCheckedAllocations_UnhealthyFirst(t *testing.T) {
	yes, no := true, false
	job := backends.Job{Type: "service"}
	for range maxCheckedAllocations {
		job.Allocations = append(job.Allocations, backends.Allocation{ID: "healthy", Status: "running", Healthy: &yes})
	}
	job.Allocations = append(job.Allocations,
		backends.Allocation{ID: "unhealthy", Status: "running", Healthy: &no},
		backends.Allocation{ID: "not known", Status: "running"},
		backends.Allocation{ID: "failed", Status: "failed"})
	batch := backends.Job{Type: "batch", Allocations: []backends.Allocation{{ID: "batch", Status: "running"}}}
	selected, others := checkedAllocations([]backends.Job{batch, job})
	if len(selected) != maxCheckedAllocations || others != 2 || selected[0].ID != "unhealthy" ||
		selected[1].ID != "not known" || selected[2].ID != "healthy" {
		t.Errorf("got %d allocations, first %s and %s, and %d others", len(selected), selected[0].ID, selected[1].ID, others)
	}
}
