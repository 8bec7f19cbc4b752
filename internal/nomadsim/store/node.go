package store

import (
	"cmp"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// Node is the stored record of a node.
type Node struct {
	ID, Name, Datacenter, NodeClass, NodePool string
	Status, SchedulingEligibility             string
	CreateIndex, ModifyIndex                  uint64

	Spec            jobspec.Node
	joined, Updated time.Time // Updated: the last status change, or zero
	AgentDown       bool      // the client agent is not running, even if the servers have not noticed
	Missed          []MissedHeartbeat
}

func (n *Node) key() key { return key{id: n.ID} }

// AddNode adds a node, or replaces the one with the same name.
func (st *State) AddNode(n jobspec.Node) *Node {
	if n.Name == "" {
		panic("nomadsim: a node needs a name")
	}
	if n.ID == "" {
		n.ID = jobspec.UUID("node", n.Name)
	}
	n.Address = cmp.Or(n.Address, "127.0.0.1")
	n.Datacenter = cmp.Or(n.Datacenter, "dc1")
	n.Pool = cmp.Or(n.Pool, "default")
	if n.Drivers == nil {
		n.Drivers = []string{"docker"}
	}
	added := &Node{
		ID: n.ID, Name: n.Name, Datacenter: n.Datacenter, NodeClass: n.Class, NodePool: n.Pool,
		Status: "ready", SchedulingEligibility: "eligible", Spec: n, joined: time.Now(),
	}
	if n.Down {
		added.Status = "down"
	}
	added.CreateIndex = st.NextIndex(TableNodes)
	added.ModifyIndex = added.CreateIndex
	if old := st.NodeNamed(n.Name); old != nil {
		added.CreateIndex, added.joined = old.CreateIndex, old.joined
		st.Nodes = drop(st.Nodes, old, byName)
	}
	st.Nodes = put(st.Nodes, added, byName)
	return added
}

// NodeNamed returns a node by its name, or nil if there is none.
func (st *State) NodeNamed(name string) *Node {
	if i := slices.IndexFunc(st.Nodes, func(n *Node) bool { return n.Name == name }); i >= 0 {
		return st.Nodes[i]
	}
	return nil
}

// Stub returns the node as it appears in a list.
func (n *Node) Stub() object {
	drivers := object{}
	for _, d := range n.Spec.Drivers {
		drivers[d] = object{
			"Attributes": map[string]string{"driver." + d: "true"}, "Detected": true, "Healthy": true,
			"HealthDescription": "Healthy", "UpdateTime": Stamp(n.joined),
		}
	}
	return object{
		"ID": n.ID, "Name": n.Name, "Address": n.Spec.Address, "Datacenter": n.Datacenter, "NodeClass": n.NodeClass,
		"NodePool": n.NodePool, "Status": n.Status, "StatusDescription": "", "Drain": false, "LastDrain": nil,
		"SchedulingEligibility": n.SchedulingEligibility, "Drivers": drivers, "HostVolumes": object{},
		"Version": "2.0.5", "CreateIndex": n.CreateIndex, "ModifyIndex": n.ModifyIndex,
	}
}

// metrics returns the placement metrics of an allocation on this node.
func (n *Node) metrics() Metrics {
	return Metrics{
		NodesEvaluated: 1, NodesInPool: 1, NodesAvailable: available([]*Node{n}), NodePool: n.NodePool,
		AllocationTime: 29113,
		ScoreMetaData: []object{{"NodeID": n.ID, "NormScore": 0.08, "Scores": object{
			"binpack": 0.08, "job-anti-affinity": 0, "node-affinity": 0, "node-reschedule-penalty": 0,
		}}},
	}
}

// available counts nodes by datacenter.
func available(nodes []*Node) map[string]int {
	count := map[string]int{}
	for _, n := range nodes {
		count[n.Datacenter]++
	}
	return count
}

// NodeByID returns a node, or nil if there is none.
func (st *State) NodeByID(id string) *Node {
	if i, found := find(st.Nodes, key{id: id}, byName); found {
		return st.Nodes[i]
	}
	return nil
}

// AgentDown reports whether the client agent of an allocation is not running.
func (st *State) AgentDown(a *Allocation) bool {
	n := st.NodeByID(a.NodeID)
	return n == nil || n.AgentDown
}

// SetNodeStatus stores a node with another status. n must be a copy.
func (st *State) SetNodeStatus(n *Node, status string) {
	n.Status, n.Updated = status, time.Now()
	n.ModifyIndex = st.NextIndex(TableNodes)
	st.Nodes = put(st.Nodes, n, byName)
}

// MissedHeartbeat records that the servers have missed the heartbeat of a node.
type MissedHeartbeat struct {
	Index uint64
	At    time.Time
}

// DefaultDrivers returns the drivers of the first node.
func (st *State) DefaultDrivers() []string {
	if len(st.Nodes) == 0 {
		return nil
	}
	return st.Nodes[0].Spec.Drivers
}

// StoreNode stores a changed copy of a node.
func (st *State) StoreNode(n *Node) { st.Nodes = put(st.Nodes, n, byName) }
