package nomadsim

import "testing"

func TestNode_AddressAndDrivers(t *testing.T) {
	c := New()
	c.AddToken("reader", Rights{NodeRead: true})
	c.AddToken("none", Rights{Namespaces: map[string][]string{"*": {"read-job"}}})
	c.AddNode(Node{
		Name: "node-1", Address: "10.0.0.7", Drivers: []string{"docker", "raw_exec"},
		Attributes: map[string]string{"os.name": "alpine"},
		Meta:       map[string]string{"rack": "4"}, Down: true,
	})
	n := dial(t, c, "reader")
	list, _, err := n.Nodes().List(nil)
	if err != nil || len(list) != 1 {
		t.Fatalf("nodes: got %d, %v, want 1", len(list), err)
	}
	got, _, err := n.Nodes().Info(list[0].ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "node-1" || got.HTTPAddr != "10.0.0.7"+clientPort || got.Status != "down" || len(got.Drivers) != 2 ||
		got.Meta["rack"] != "4" {
		t.Errorf("node: got %+v", got)
	}
	for name, want := range map[string]string{
		"unique.network.ip-address": "10.0.0.7", "unique.hostname": "node-1", "driver.raw_exec": "1", "os.name": "alpine",
	} {
		if got.Attributes[name] != want {
			t.Errorf("%s: got %q, want %q", name, got.Attributes[name], want)
		}
	}
	if w := get(c, "/v1/node/"+list[0].ID, "X-Nomad-Token", "none"); w.Code != 403 {
		t.Errorf("without node:read: got %d %s, want 403", w.Code, w.Body)
	}
}
