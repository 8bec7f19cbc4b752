package nomadsim

import (
	"fmt"
	"maps"
	"net/http"
)

// getNode returns a whole node.
func getNode(c *Cluster, q *query) (any, error) {
	if r := q.token.rights; !r.Management && !r.NodeRead {
		return nil, errDenied
	}
	if _, err := uuidDigits(q.id, true); err != nil {
		return nil, fmt.Errorf("node lookup failed: index error: %w", err)
	}
	i, found := find(c.nodes, key{id: q.id}, byName)
	if !found {
		q.resultIndex = c.changedAt[tableNodes]
		return nil, httpError{http.StatusNotFound, "node not found"}
	}
	q.resultIndex = c.nodes[i].ModifyIndex
	return c.nodes[i].detail(), nil
}

// clientPort is the port that nodes advertise for their client agents. Nothing listens there. The client library
// connects to a node directly, and to the servers if that is refused. At Nomad's own port, 4646, it could reach a
// real agent.
const clientPort = ":1"

// computedClass is the computed class of every node.
const computedClass = "v1:16605075123686014587"

// The resources of every node.
const (
	nodeCores  = 8
	nodeMHz    = 2600
	nodeMemory = 32768  // MiB
	nodeDisk   = 102400 // MiB
)

func (n *node) attributes() map[string]string {
	address := n.spec.Address
	all := map[string]string{
		"cpu.arch": "amd64", "cpu.frequency": fmt.Sprint(nodeMHz), "cpu.modelname": "simulated",
		"cpu.numcores":     fmt.Sprint(nodeCores),
		"cpu.totalcompute": fmt.Sprint(nodeCores * nodeMHz), "cpu.usablecompute": fmt.Sprint(nodeCores * nodeMHz),
		"kernel.arch": "x86_64", "kernel.name": "linux", "kernel.version": "6.1.0",
		"memory.totalbytes":       fmt.Sprint(nodeMemory << 20),
		"nomad.service_discovery": "true", "nomad.version": "2.0.5", "os.name": "debian", "os.version": "12.11",
		"unique.advertise.address": address + clientPort, "unique.hostname": n.Name, "unique.network.ip-address": address,
		"unique.storage.bytestotal": fmt.Sprint(nodeDisk << 20),
	}
	for _, d := range n.spec.Drivers {
		all["driver."+d] = "1"
	}
	maps.Copy(all, n.spec.Attributes)
	return all
}

// detail returns the whole node.
func (n *node) detail() object {
	meta := map[string]string{"connect.log_level": "info", "connect.proxy_concurrency": "1"}
	maps.Copy(meta, n.spec.Meta)
	d := n.stub()
	for _, only := range []string{"Address", "Version"} { // only present in lists
		delete(d, only)
	}
	maps.Copy(d, object{
		"HTTPAddr": n.spec.Address + clientPort, "TLSEnabled": false, "Attributes": n.attributes(), "Meta": meta,
		"Links":    object{},
		"SecretID": "", "CgroupParent": "nomad.slice", "ComputedClass": computedClass,
		"CSIControllerPlugins": object{}, "CSINodePlugins": object{}, "GCVolumesOnNodeGC": false, "HostNetworks": nil,
		"DrainStrategy": nil, "LastAllocUpdateIndex": n.ModifyIndex, "LastMissedHeartbeatIndex": n.lastMissedIndex(),
		"NodeMaxAllocs":        0,
		"IdentitySigningKeyID": uuid("signing key"), "StatusUpdatedAt": n.statusSince().Unix(),
		"Events":        n.eventList(),
		"NodeResources": n.resources(),
		"ReservedResources": object{
			"Cpu": object{"CpuShares": 0, "ReservedCpuCores": nil}, "Disk": object{"DiskMB": 0},
			"Memory": object{"MemoryMB": 0}, "Networks": object{"ReservedHostPorts": ""},
		},
	})
	return d
}

func (n *node) resources() object {
	var numbers []int
	var cores []object
	for i := range nodeCores {
		numbers = append(numbers, i)
		cores = append(cores, object{
			"ID": i, "BaseSpeed": nodeMHz, "Disable": false, "Grade": true, "GuessSpeed": 0, "MaxSpeed": 0, "NodeID": 0,
			"SocketID": 0,
		})
	}
	address := n.spec.Address
	return object{
		"Cpu":    object{"CpuShares": nodeCores * nodeMHz, "ReservableCpuCores": numbers, "TotalCpuCores": nodeCores},
		"Memory": object{"MemoryMB": nodeMemory}, "Disk": object{"DiskMB": nodeDisk}, "Devices": nil,
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
