package sim

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Network is what a group asks of a node's network.
type Network struct {
	Mode  string // "" is the host's
	Ports []Port
}

// Port is a port by name. Value 0 is one that Nomad chooses; To is its number inside, where that differs.
type Port struct {
	Label     string
	Value, To int
}

func (p Port) detail() object {
	d := object{"Label": p.Label, "HostNetwork": "default"}
	if p.Value != 0 {
		d["Value"] = p.Value
	}
	if p.To != 0 {
		d["To"] = p.To
	}
	return d
}

// requestedNetworks are the networks as a job has them: what is empty is left out.
func requestedNetworks(all []Network) []object { return networkRows(all, Port.detail, nil) }

func networkRows(all []Network, detail func(Port) object, more object) (rows []object) {
	for _, n := range all {
		row := object{}
		for k, v := range more {
			row[k] = v
		}
		if n.Mode != "" {
			row["Mode"] = n.Mode
		}
		for _, p := range n.Ports {
			kind := "ReservedPorts"
			if p.Value == 0 {
				kind = "DynamicPorts"
			}
			ports, _ := row[kind].([]object)
			row[kind] = append(ports, detail(p))
		}
		rows = append(rows, row)
	}
	return rows
}

// assignedNetworks are the networks that an allocation got.
func (a *allocation) assignedNetworks() []object {
	return networkRows(a.group.Networks, func(p Port) object {
		p.Value = a.portNumber(p)
		return p.detail()
	}, object{"IP": a.node.spec.Address})
}

// assignedPorts are those that an allocation got; nil without any, as in Nomad.
func (a *allocation) assignedPorts() (rows []object) {
	for _, n := range a.group.Networks {
		inOrder := slices.Clone(n.Ports)
		slices.SortStableFunc(inOrder, func(p, q Port) int { return -cmp.Compare(min(p.Value, 1), min(q.Value, 1)) }) // those asked for first
		for _, p := range inOrder {
			row := object{"Label": p.Label, "Value": a.portNumber(p), "HostIP": a.node.spec.Address}
			if p.To != 0 {
				row["To"] = p.To
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// portNumber is the number of a port: one that Nomad chooses lies where Nomad chooses, and stays the same.
func (a *allocation) portNumber(p Port) int {
	h := fnv.New32a()
	h.Write([]byte(a.ID + p.Label))
	return cmp.Or(p.Value, 20000+int(h.Sum32()%12000))
}
