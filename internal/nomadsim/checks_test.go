package nomadsim

import "testing"

func checksCluster(a Allocation) *Cluster {
	c := New()
	c.AddToken("root", Rights{Management: true})
	c.AddToken("none", Rights{})
	c.AddNode(Node{Name: "node-1"})
	c.AddNode(Node{Name: "down", Down: true})
	a.ID = "11111111-1111-1111-1111-111111111111"
	c.AddJob(Job{ID: "p-web", Groups: []Group{{
		Name: "web", Allocations: []Allocation{a},
		Services: []Service{
			{Name: "web", Port: "80", Checks: []Check{{Name: "alive"}, {Name: "ready", Type: "http", Path: "/"}}},
			{Name: "elsewhere", Provider: "consul", Checks: []Check{{Name: "unknown"}}},
		},
		Tasks: []Task{{Name: "app", Services: []Service{{Name: "app", Checks: []Check{{Name: "soft", OnUpdate: "ignore"}}}}}},
	}}})
	return c
}

func TestChecks_Results(t *testing.T) {
	const path = "/v1/client/allocation/11111111-1111-1111-1111-111111111111/checks"
	type result struct {
		Mode, Status, Output, Group, Task, Service string
		StatusCode                                 int
	}
	for name, test := range map[string]struct {
		allocation Allocation
		want       map[string]result
	}{
		"running": {
			Allocation{FailingChecks: map[string]CheckFailure{"ready": {StatusCode: 503, Output: "not yet"}}},
			map[string]result{
				"alive": {"healthiness", "success", "nomad: tcp ok", "p-web.web[0]", "", "web", 0},
				"ready": {"healthiness", "failure", "not yet", "p-web.web[0]", "", "web", 503},
				"soft":  {"readiness", "success", "nomad: tcp ok", "p-web.web[0]", "app", "app", 0},
			},
		},
		"pending": {Allocation{ClientStatus: "pending"}, map[string]result{
			"alive": {"healthiness", "pending", "nomad: waiting to run", "p-web.web[0]", "", "web", 0},
			"ready": {"healthiness", "pending", "nomad: waiting to run", "p-web.web[0]", "", "web", 0},
			"soft":  {"readiness", "pending", "nomad: waiting to run", "p-web.web[0]", "app", "app", 0},
		}},
		"ended": {Allocation{ClientStatus: "complete"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := checksCluster(test.allocation)
			w := get(c, path, "X-Nomad-Token", "root")
			if test.want == nil && w.Body.String() != "null" {
				t.Fatalf("got %s, want null", w.Body)
			}
			all := decode[map[string]struct {
				result
				Check, ID string
			}](t, w)
			if len(all) != len(test.want) {
				t.Errorf("got %d checks, want %d", len(all), len(test.want))
			}
			for id, got := range all {
				if got.result != test.want[got.Check] || got.ID != id || len(id) != 64 {
					t.Errorf("%s: got %+v, want %+v", got.Check, got, test.want[got.Check])
				}
			}
		})
	}
	if w := get(checksCluster(Allocation{}), path, "X-Nomad-Token", "none"); w.Code != 403 {
		t.Errorf("without rights: got %d %s, want 403", w.Code, w.Body)
	}
	if w := get(checksCluster(Allocation{Node: "down"}), path, "X-Nomad-Token", "root"); w.Code != 404 ||
		w.Body.String() != "No path to node" {
		t.Errorf("on a node that is down: got %d %s, want 404 No path to node", w.Code, w.Body)
	}
}
