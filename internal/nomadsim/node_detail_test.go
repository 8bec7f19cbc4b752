package nomadsim

import (
	"net"
	"strconv"
	"testing"

	"github.com/hashicorp/nomad/api"
)

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
	if got.Name != "node-1" || got.HTTPAddr != "10.0.0.7:1" || got.Status != "down" || len(got.Drivers) != 2 ||
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

// TestNode_AddressIsNotOfAnAgent: client libraries connect to the address that a node advertises. A real agent may
// listen on port 4646 of this machine.
func TestNode_AddressIsNotOfAnAgent(t *testing.T) {
	c := New()
	c.AddJob(Job{ID: "web"})
	n := dial(t, c, "")
	list, _, err := n.Nodes().List(nil)
	if err != nil || len(list) != 1 {
		t.Fatalf("nodes: got %d, %v, want 1", len(list), err)
	}
	node, _, err := n.Nodes().Info(list[0].ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, address := range map[string]string{
		"HTTPAddr": node.HTTPAddr, "attribute": node.Attributes["unique.advertise.address"],
	} {
		_, port, err := net.SplitHostPort(address)
		if number, _ := strconv.Atoi(port); err != nil || number < 1 || number > 9 {
			t.Errorf("%s: got %q, %v, want a port on which no agent listens", what, address, err)
		}
	}
	c.ResetTraffic()
	id := c.Allocations("default", "web")[0]
	if _, err := n.Allocations().Stats(&api.Allocation{ID: id, NodeID: node.ID}, nil); err != nil {
		t.Error(err)
	}
	if got := c.Traffic("/v1/client/allocation/{id}/stats").Requests; got != 1 {
		t.Errorf("got %d requests through the servers, want 1", got)
	}
}
