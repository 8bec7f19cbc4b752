package nomadsim

import (
	"cmp"
	"slices"
	"time"
)

// node is the stored record of a node.
type node struct {
	ID, Name, Datacenter, NodeClass, NodePool string
	Status, SchedulingEligibility             string
	CreateIndex, ModifyIndex                  uint64

	spec            Node
	joined, updated time.Time // updated: the last status change, or zero
	agentDown       bool      // the client agent is not running, even if the servers have not noticed
	missed          []missedHeartbeat
}

func (n *node) key() key { return key{id: n.ID} }

// AddNode adds a node to the cluster. It replaces a node with the same name, which keeps its allocations.
func (c *Cluster) AddNode(n Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addNode(n)
}

func (c *Cluster) addNode(n Node) *node {
	if n.Name == "" {
		panic("nomadsim: a node needs a name")
	}
	if n.ID == "" {
		n.ID = uuid("node", n.Name)
	}
	n.Address = cmp.Or(n.Address, "127.0.0.1")
	n.Datacenter = cmp.Or(n.Datacenter, "dc1")
	n.Pool = cmp.Or(n.Pool, "default")
	if n.Drivers == nil {
		n.Drivers = []string{"docker"}
	}
	added := &node{
		ID: n.ID, Name: n.Name, Datacenter: n.Datacenter, NodeClass: n.Class, NodePool: n.Pool,
		Status: "ready", SchedulingEligibility: "eligible", spec: n, joined: time.Now(),
	}
	if n.Down {
		added.Status = "down"
	}
	added.CreateIndex = c.nextIndex(tableNodes)
	added.ModifyIndex = added.CreateIndex
	if old := c.nodeNamed(n.Name); old != nil {
		added.CreateIndex, added.joined = old.CreateIndex, old.joined
		c.nodes = drop(c.nodes, old, byName)
	}
	c.nodes = put(c.nodes, added, byName)
	return added
}

func (c *Cluster) nodeNamed(name string) *node {
	if i := slices.IndexFunc(c.nodes, func(n *node) bool { return n.Name == name }); i >= 0 {
		return c.nodes[i]
	}
	return nil
}

func (n *node) stub() object {
	drivers := object{}
	for _, d := range n.spec.Drivers {
		drivers[d] = object{
			"Attributes": map[string]string{"driver." + d: "true"}, "Detected": true, "Healthy": true,
			"HealthDescription": "Healthy", "UpdateTime": stamp(n.joined),
		}
	}
	return object{
		"ID": n.ID, "Name": n.Name, "Address": n.spec.Address, "Datacenter": n.Datacenter, "NodeClass": n.NodeClass,
		"NodePool": n.NodePool, "Status": n.Status, "StatusDescription": "", "Drain": false, "LastDrain": nil,
		"SchedulingEligibility": n.SchedulingEligibility, "Drivers": drivers, "HostVolumes": object{},
		"Version": "2.0.5", "CreateIndex": n.CreateIndex, "ModifyIndex": n.ModifyIndex,
	}
}

// metrics returns the placement metrics of an allocation on this node.
func (n *node) metrics() metrics {
	return metrics{
		NodesEvaluated: 1, NodesInPool: 1, NodesAvailable: available([]*node{n}), NodePool: n.NodePool,
		AllocationTime: 29113,
		ScoreMetaData: []object{{"NodeID": n.ID, "NormScore": 0.08, "Scores": object{
			"binpack": 0.08, "job-anti-affinity": 0, "node-affinity": 0, "node-reschedule-penalty": 0,
		}}},
	}
}

// available counts nodes by datacenter.
func available(nodes []*node) map[string]int {
	count := map[string]int{}
	for _, n := range nodes {
		count[n.Datacenter]++
	}
	return count
}
