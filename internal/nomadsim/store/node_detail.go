package store

import (
	"fmt"
	"maps"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// clientPort is the port that nodes advertise for their client agents. Nothing listens there. The client library
// connects to a node directly, and to the servers if that is refused. At Nomad's own port, 4646, it could reach a
// real agent.
const clientPort = ":1"

// ComputedClass is the computed class of every node.
const ComputedClass = "v1:16605075123686014587"

// The resources of every node.
const (
	NodeCores  = 8
	NodeMHz    = 2600
	NodeMemory = 32768  // MiB
	nodeDisk   = 102400 // MiB
)

// Attributes returns the attributes that the client has fingerprinted.
func (n *Node) Attributes() map[string]string {
	address := n.Spec.Address
	all := map[string]string{
		"cpu.arch": "amd64", "cpu.frequency": fmt.Sprint(NodeMHz), "cpu.modelname": "simulated",
		"cpu.numcores":     fmt.Sprint(NodeCores),
		"cpu.totalcompute": fmt.Sprint(NodeCores * NodeMHz), "cpu.usablecompute": fmt.Sprint(NodeCores * NodeMHz),
		"kernel.arch": "x86_64", "kernel.name": "linux", "kernel.version": "6.1.0",
		"memory.totalbytes":       fmt.Sprint(NodeMemory << 20),
		"nomad.service_discovery": "true", "nomad.version": "2.0.5", "os.name": "debian", "os.version": "12.11",
		"unique.advertise.address": address + clientPort, "unique.hostname": n.Name, "unique.network.ip-address": address,
		"unique.storage.bytestotal": fmt.Sprint(nodeDisk << 20),
	}
	for _, d := range n.Spec.Drivers {
		all["driver."+d] = "1"
	}
	maps.Copy(all, n.Spec.Attributes)
	return all
}

// Detail returns the whole node.
func (n *Node) Detail() object {
	meta := map[string]string{"connect.log_level": "info", "connect.proxy_concurrency": "1"}
	maps.Copy(meta, n.Spec.Meta)
	d := n.Stub()
	for _, only := range []string{"Address", "Version"} { // only present in lists
		delete(d, only)
	}
	maps.Copy(d, object{
		"HTTPAddr": n.Spec.Address + clientPort, "TLSEnabled": false, "Attributes": n.Attributes(), "Meta": meta,
		"Links":    object{},
		"SecretID": "", "CgroupParent": "nomad.slice", "ComputedClass": ComputedClass,
		"CSIControllerPlugins": object{}, "CSINodePlugins": object{}, "GCVolumesOnNodeGC": false, "HostNetworks": nil,
		"DrainStrategy": nil, "LastAllocUpdateIndex": n.ModifyIndex, "LastMissedHeartbeatIndex": n.lastMissedIndex(),
		"NodeMaxAllocs":        0,
		"IdentitySigningKeyID": jobspec.UUID("signing key"), "StatusUpdatedAt": n.statusSince().Unix(),
		"Events":        n.eventList(),
		"NodeResources": n.resources(),
		"ReservedResources": object{
			"Cpu": object{"CpuShares": 0, "ReservedCpuCores": nil}, "Disk": object{"DiskMB": 0},
			"Memory": object{"MemoryMB": 0}, "Networks": object{"ReservedHostPorts": ""},
		},
	})
	return d
}

func (n *Node) resources() object {
	var numbers []int
	var cores []object
	for i := range NodeCores {
		numbers = append(numbers, i)
		cores = append(cores, object{
			"ID": i, "BaseSpeed": NodeMHz, "Disable": false, "Grade": true, "GuessSpeed": 0, "MaxSpeed": 0, "NodeID": 0,
			"SocketID": 0,
		})
	}
	address := n.Spec.Address
	return object{
		"Cpu":    object{"CpuShares": NodeCores * NodeMHz, "ReservableCpuCores": numbers, "TotalCpuCores": NodeCores},
		"Memory": object{"MemoryMB": NodeMemory}, "Disk": object{"DiskMB": nodeDisk}, "Devices": nil,
		"MinDynamicPort": 20000, "MaxDynamicPort": 32000,
		"Networks": []object{{"CIDR": address + "/32", "Device": "eth0", "IP": address, "MBits": 1000, "Mode": "host"}},
		"NodeNetworks": []object{{
			"Device": "eth0", "MacAddress": "", "Mode": "host", "Speed": 1000, "Addresses": []object{{
				"Address": address, "Alias": "default", "Family": "ipv4", "Gateway": "", "ReservedPorts": "",
			}},
		}},
		"Processors": object{"Topology": object{
			"Cores": cores, "Distances": nil, "Nodes": []int{0}, "OverrideTotalCompute": 0, "OverrideWitholdCompute": 0,
		}},
	}
}

// eventList returns the events of the node's record.
func (n *Node) eventList() []object {
	all := []object{{
		"CreateIndex": 0, "Details": nil, "Message": "Node registered", "Subsystem": "Cluster",
		"Timestamp": Stamp(n.joined.Truncate(time.Second)),
	}}
	for _, m := range n.Missed {
		all = append(all, object{
			"CreateIndex": m.Index, "Details": nil, "Message": "Node heartbeat missed", "Subsystem": "Cluster",
			"Timestamp": Stamp(m.At),
		})
	}
	return all
}

// lastMissedIndex returns the index of the last missed heartbeat, or 0.
func (n *Node) lastMissedIndex() uint64 {
	if len(n.Missed) == 0 {
		return 0
	}
	return n.Missed[len(n.Missed)-1].Index
}

// statusSince returns the time of the node's last status change.
func (n *Node) statusSince() time.Time {
	if n.Updated.IsZero() {
		return n.joined
	}
	return n.Updated
}
