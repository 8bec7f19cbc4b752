package nomadsim

import (
	"cmp"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
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

func (st *state) addNode(n Node) *node {
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
	added := &node{
		ID: n.ID, Name: n.Name, Datacenter: n.Datacenter, NodeClass: n.Class, NodePool: n.Pool,
		Status: "ready", SchedulingEligibility: "eligible", spec: n, joined: time.Now(),
	}
	if n.Down {
		added.Status = "down"
	}
	added.CreateIndex = st.nextIndex(tableNodes)
	added.ModifyIndex = added.CreateIndex
	if old := st.nodeNamed(n.Name); old != nil {
		added.CreateIndex, added.joined = old.CreateIndex, old.joined
		st.nodes = drop(st.nodes, old, byName)
	}
	st.nodes = put(st.nodes, added, byName)
	return added
}

func (st *state) nodeNamed(name string) *node {
	if i := slices.IndexFunc(st.nodes, func(n *node) bool { return n.Name == name }); i >= 0 {
		return st.nodes[i]
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

func (st *state) nodeByID(id string) *node {
	if i, found := find(st.nodes, key{id: id}, byName); found {
		return st.nodes[i]
	}
	return nil
}

// agentDown reports whether the client agent of an allocation is not running.
func (st *state) agentDown(a *allocation) bool {
	n := st.nodeByID(a.NodeID)
	return n == nil || n.agentDown
}

// setNodeStatus stores a node with another status. n must be a copy.
func (st *state) setNodeStatus(n *node, status string) {
	n.Status, n.updated = status, time.Now()
	n.ModifyIndex = st.nextIndex(tableNodes)
	st.nodes = put(st.nodes, n, byName)
}

type missedHeartbeat struct {
	index uint64
	at    time.Time
}

// defaultDrivers returns the drivers of the first node.
func (st *state) defaultDrivers() []string {
	if len(st.nodes) == 0 {
		return nil
	}
	return st.nodes[0].spec.Drivers
}

// clientInSync reports whether the client of a node is running and has reported all of its allocations.
func (st *state) clientInSync(name string) bool {
	n := st.nodeNamed(name)
	return n != nil && n.Status == "ready" && !n.agentDown &&
		!slices.ContainsFunc(st.allocations, func(a *allocation) bool {
			stopping := a.DesiredStatus != "run" && (a.ClientStatus == "lost" || a.ClientStatus == "running")
			return a.NodeID == n.ID && (stopping || a.ClientStatus == "unknown" || a.ClientStatus == "pending")
		})
}

// storeNode stores a changed copy of a node.
func (st *state) storeNode(n *node) { st.nodes = put(st.nodes, n, byName) }
