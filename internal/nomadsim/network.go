package nomadsim

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Network is a network block of a group.
type Network struct {
	Mode  string // "" means host
	Ports []Port
}

// Port is a labeled port. If Value is 0, Nomad chooses the port. To is the port inside the allocation, if different.
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

// requestedNetworks returns the networks of a job, without empty fields.
func requestedNetworks(all []Network) []object { return networkRows(all, Port.detail, nil) }

func networkRows(all []Network, detail func(Port) object, extra object) (rows []object) {
	for _, n := range all {
		row := object{}
		for k, v := range extra {
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

// assignedNetworks returns the networks of an allocation with their ports.
func (a *allocation) assignedNetworks() []object {
	return networkRows(a.group.Networks, func(p Port) object {
		p.Value = a.portNumber(p)
		return p.detail()
	}, object{"IP": a.node.spec.Address})
}

// assignedPorts returns the ports of an allocation. As in Nomad, it is nil without ports.
func (a *allocation) assignedPorts() (rows []object) {
	for _, n := range a.group.Networks {
		inOrder := slices.Clone(n.Ports)
		// static ports first
		slices.SortStableFunc(inOrder, func(p, q Port) int { return -cmp.Compare(min(p.Value, 1), min(q.Value, 1)) })
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

// portNumber returns the number of a port. A dynamic port gets a stable number in Nomad's range.
func (a *allocation) portNumber(p Port) int {
	h := fnv.New32a()
	h.Write([]byte(a.ID + p.Label))
	return cmp.Or(p.Value, 20000+int(h.Sum32()%12000))
}
