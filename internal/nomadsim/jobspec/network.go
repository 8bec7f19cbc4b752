package jobspec

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

// Detail returns the port as a job or an allocation contains it.
func (p Port) Detail() object {
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
func requestedNetworks(all []Network) []object { return NetworkRows(all, Port.Detail, nil) }

// NetworkRows returns networks without empty fields. detail renders their ports, and extra is added to each network.
func NetworkRows(all []Network, detail func(Port) object, extra object) (rows []object) {
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
