package jobspec

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"
)

func groupSpec(g *api.TaskGroup, f *api.Job, trusted bool) Group {
	d := Group{
		Name: value(g.Name), Count: 1, Allocations: []Allocation{}, Constraints: toSpecConstraints(g.Constraints),
		Meta:     g.Meta,
		Services: toSpecServices(g.Services),
	}
	if g.Count != nil {
		d.Count = *g.Count
	}
	if p := g.RestartPolicy; p != nil {
		r, _ := Group{}.RestartPolicy(*f.Type)
		for _, set := range []struct{ to, from *time.Duration }{{&r.Interval, p.Interval}, {&r.Delay, p.Delay}} {
			if set.from != nil {
				*set.to = *set.from
			}
		}
		if p.Attempts != nil {
			r.Attempts = *p.Attempts
		}
		r.Mode = value(p.Mode)
		d.Restart = &r
	}
	if p := g.ReschedulePolicy; p != nil {
		d.Reschedule = &Reschedule{
			Attempts: value(p.Attempts), Interval: value(p.Interval), Delay: value(p.Delay), MaxDelay: value(p.MaxDelay),
			DelayFunction: value(p.DelayFunction), Unlimited: value(p.Unlimited),
		}
	}
	if u := cmp.Or(g.Update, f.Update); u != nil && (*f.Type == "service" || *f.Type == "system") {
		d.Update = updateSpec(u)
	}
	if s := g.Scaling; s != nil {
		d.Scaling = &Scaling{Min: int(value(s.Min)), Max: int(value(s.Max)), Disabled: s.Enabled != nil && !*s.Enabled}
	}
	if p := g.Disconnect; p != nil {
		d.Disconnect = &Disconnect{NoReplace: p.Replace != nil && !*p.Replace}
		if p.LostAfter != nil {
			d.Disconnect.LostAfter = *p.LostAfter
		}
	}
	for _, n := range g.Networks {
		network := Network{Mode: n.Mode}
		for _, p := range append(n.ReservedPorts, n.DynamicPorts...) {
			network.Ports = append(network.Ports, Port{Label: p.Label, Value: p.Value, To: p.To})
		}
		d.Networks = append(d.Networks, network)
	}
	for _, t := range g.Tasks {
		d.Tasks = append(d.Tasks, taskSpec(t, trusted))
	}
	return d
}

func updateSpec(u *api.UpdateStrategy) *Update {
	return &Update{
		MaxParallel: value(u.MaxParallel), Canary: value(u.Canary), AutoRevert: value(u.AutoRevert),
		AutoPromote: value(u.AutoPromote), MinHealthyTime: value(u.MinHealthyTime),
		HealthyDeadline: value(u.HealthyDeadline), ProgressDeadline: value(u.ProgressDeadline),
	}
}

func taskSpec(t *api.Task, trusted bool) Task {
	d := Task{
		Name: t.Name, Driver: t.Driver, CPU: 100, Memory: 300, Config: t.Config, Env: t.Env, Meta: t.Meta,
		Constraints: toSpecConstraints(t.Constraints), Services: toSpecServices(t.Services),
	}
	if l := t.Lifecycle; l != nil {
		d.Hook, d.Sidecar = l.Hook, l.Sidecar
	}
	if t.Config == nil {
		d.Config = object{}
	}
	if r := t.Resources; r != nil {
		if r.CPU != nil {
			d.CPU = *r.CPU
		}
		if r.MemoryMB != nil {
			d.Memory = *r.MemoryMB
		}
		d.MemoryMax = value(r.MemoryMaxMB)
	}
	if l := t.LogConfig; l != nil {
		d.LogFileSize, d.LogFiles, d.LogsDisabled = int64(value(l.MaxFileSizeMB))*mib, value(l.MaxFiles), value(l.Disabled)
	}
	for _, f := range t.Templates {
		d.Templates = append(d.Templates, Template{
			Text: value(f.EmbeddedTmpl), Source: value(f.SourcePath), Destination: value(f.DestPath),
			ChangeMode: value(f.ChangeMode), Env: value(f.Envvars),
		})
	}
	if command, ok := t.Config["command"].(string); ok && trusted && (t.Driver == "raw_exec" || t.Driver == "exec") {
		d.Command = []string{command}
		args, _ := t.Config["args"].([]any)
		for _, a := range args {
			d.Command = append(d.Command, fmt.Sprint(a))
		}
	}
	return d
}

// toSpecConstraints omits the constraints that Nomad adds itself.
func toSpecConstraints(all []*api.Constraint) (rows []Constraint) {
	own := Group{Services: []Service{{}}}.impliedConstraints()
	for _, c := range all {
		d := Constraint{c.LTarget, c.Operand, c.RTarget}
		if d != own[0] && d != own[1] {
			rows = append(rows, d)
		}
	}
	return rows
}

func toSpecServices(all []*api.Service) (rows []Service) {
	for _, s := range all {
		d := Service{Name: s.Name, Port: s.PortLabel, Address: s.Address, Provider: s.Provider, Tags: s.Tags}
		for _, c := range s.Checks {
			d.Checks = append(d.Checks, Check{
				Name: c.Name, Type: c.Type, Port: c.PortLabel, Path: c.Path, OnUpdate: c.OnUpdate, Interval: c.Interval,
				Timeout: c.Timeout,
			})
		}
		rows = append(rows, d)
	}
	return rows
}
