package commands

import (
	"slices"

	"nomadctld/backends"
)

// json returns the JSON of info. Unlike the text, it contains failed allocations that Nomad has replaced.
func (v *infoView) json() jobOutput {
	job := v.job
	job.Allocations = v.allocations
	out := jobJSON(job, v.usage, v.checks)
	for i, a := range job.Allocations {
		one := &out.Allocations[i]
		if n, ok := v.nodes[a.NodeID]; ok {
			one.NodeState = &nodeOutput{n.Status, !n.Ineligible, n.Draining, timeOrNull(n.DrainDeadline)}
		}
		detail, known := v.details[a.ID]
		one.Disk = detail.Disk
		for _, p := range detail.Ports {
			one.Ports = append(one.Ports, portOutput{p.Label, p.Task, p.Host, p.Value, p.To})
		}
		for j, check := range v.checks[a.ID] {
			if d, ok := v.checkDefinition(a, check); ok {
				one.Checks[j].Defined = &checkDefinitionOutput{d.Type, d.Protocol, d.Method, d.Path, d.Port}
			}
		}
		for j, t := range a.Tasks {
			v.hidden = v.hidden || slices.ContainsFunc(t.Events, func(e backends.Event) bool { return e.Hidden })
			if known {
				one.Tasks[j].Defined = definitionJSON(detail.Task(t.Name))
			}
		}
	}
	return out
}

func definitionJSON(d backends.TaskDefinition) *definitionOutput {
	out := &definitionOutput{
		Driver: d.Driver, Lifecycle: d.Lifecycle(), CPU: d.CPU, Cores: d.Cores, Memory: d.Memory, MemoryMax: d.MemoryMax,
		Restart: restartOutput{d.Restart.Attempts, d.Restart.Interval.Seconds(), d.Restart.Delay.Seconds(), d.Restart.Mode},
		Volumes: []volumeOutput{},
	}
	for _, m := range d.Volumes {
		out.Volumes = append(out.Volumes, volumeOutput{m.Name, m.Type, m.Source, m.Destination, m.ReadOnly})
	}
	return out
}
