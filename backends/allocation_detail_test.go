package backends

import "testing"

func TestAllocationDetail_Check(t *testing.T) {
	d := AllocationDetail{Checks: []CheckDefinition{
		{Service: "web", Name: "ready", Path: "/a"},
		{Service: "web", Name: "ready", Task: "app", Path: "/b"},
		{Service: "web", Name: "twice"},
		{Service: "web", Name: "twice"},
		{Service: "web", Name: "twice"},
		{Service: "db", Name: "ready", Path: "/c"},
	}}
	for _, tc := range []struct {
		check Check
		path  string
		ok    bool
	}{
		{Check{Service: "web", Name: "ready"}, "/a", true},
		{Check{Service: "web", Name: "ready", Task: "app"}, "/b", true},
		{Check{Service: "db", Name: "ready"}, "/c", true},
		{Check{Service: "db", Name: "nosuch"}, "", false},
		{Check{Service: "web", Name: "twice"}, "", false},
	} {
		if got, ok := d.Check(tc.check); ok != tc.ok || got.Path != tc.path {
			t.Errorf("%+v: got %+v, %v, want %s, %v", tc.check, got, ok, tc.path, tc.ok)
		}
	}
}
