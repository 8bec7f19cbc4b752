package store

import (
	"cmp"
	"hash/fnv"
	"slices"

	"nomadctld/internal/nomadsim/jobspec"
)

// assignedNetworks returns the networks of an allocation with their ports.
func (a *Allocation) assignedNetworks() []object {
	return jobspec.NetworkRows(a.Group.Networks, func(p jobspec.Port) object {
		p.Value = a.portNumber(p)
		return p.Detail()
	}, object{"IP": a.Node.Spec.Address})
}

// assignedPorts returns the ports of an allocation. As in Nomad, it is nil without ports.
func (a *Allocation) assignedPorts() (rows []object) {
	for _, n := range a.Group.Networks {
		inOrder := slices.Clone(n.Ports)
		// static ports first
		slices.SortStableFunc(inOrder, func(p, q jobspec.Port) int { return -cmp.Compare(min(p.Value, 1), min(q.Value, 1)) })
		for _, p := range inOrder {
			row := object{"Label": p.Label, "Value": a.portNumber(p), "HostIP": a.Node.Spec.Address}
			if p.To != 0 {
				row["To"] = p.To
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// portNumber returns the number of a port. A dynamic port gets a stable number in Nomad's range.
func (a *Allocation) portNumber(p jobspec.Port) int {
	h := fnv.New32a()
	h.Write([]byte(a.ID + p.Label))
	return cmp.Or(p.Value, 20000+int(h.Sum32()%12000))
}
