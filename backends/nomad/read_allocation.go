package nomad

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

// Allocation reads the whole allocation, including its version of the job.
func (c *Client) Allocation(ctx context.Context, a backends.Allocation) (backends.AllocationDetail, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	full, err := readObject(ctx, c, a.Namespace, capReadJob,
		func(q *api.QueryOptions) (*api.Allocation, *api.QueryMeta, error) {
			return c.reads.Allocations().Info(a.ID, q)
		})
	if err != nil {
		return backends.AllocationDetail{}, err
	}
	return allocationDetail(full), nil
}

func allocationDetail(full *api.Allocation) backends.AllocationDetail {
	d := backends.AllocationDetail{Migrating: deref(full.DesiredTransition.Migrate)}
	d.NetworkMode, d.Ports = assignedPorts(full.AllocatedResources)
	if full.AllocatedResources != nil {
		d.Disk = mebibytes(int(full.AllocatedResources.Shared.DiskMB))
	}
	if full.Job == nil {
		return d
	}
	g := full.Job.LookupTaskGroup(full.TaskGroup)
	if g == nil {
		return d
	}
	d.Tasks, d.Reschedule = taskDefinitions(g), reschedulePolicy(g.ReschedulePolicy)
	d.Checks = checkDefinitions(g)
	d.NoReplace = g.Disconnect != nil && g.Disconnect.Replace != nil && !*g.Disconnect.Replace
	for i := range d.Tasks {
		assignLimits(&d.Tasks[i], full.AllocatedResources)
	}
	if limit := maxRun(full.Job, g); limit > 0 {
		d.Deadline = time.Unix(0, full.CreateTime).Add(limit).UTC()
	}
	return d
}

// maxRun returns the group's max_run_duration, or 0 if Nomad ignores it because of the type of the job.
func maxRun(job *api.Job, g *api.TaskGroup) time.Duration {
	if kind := deref(job.Type); kind != "batch" && kind != "sysbatch" {
		return 0
	}
	return max(deref(g.MaxRunDuration), 0)
}

// assignedPorts returns the ports of an allocation. Allocations of Nomad before 0.12 have them only in their networks.
func assignedPorts(r *api.AllocatedResources) (mode string, ports []backends.Port) {
	if r == nil {
		return "", nil
	}
	for _, p := range r.Shared.Ports {
		ports = append(ports, backends.Port{Label: p.Label, Host: p.HostIP, Value: p.Value, To: p.To})
	}
	for i, n := range r.Shared.Networks {
		if i == 0 {
			mode = n.Mode
		}
		if len(r.Shared.Ports) == 0 {
			ports = append(ports, networkPorts(n, "")...)
		}
	}
	var ofTasks []backends.Port
	for name, t := range r.Tasks {
		if t != nil {
			for _, n := range t.Networks {
				ofTasks = append(ofTasks, networkPorts(n, name)...)
			}
		}
	}
	slices.SortStableFunc(ofTasks, func(a, b backends.Port) int { return strings.Compare(a.Task, b.Task) })
	return mode, append(ports, ofTasks...)
}

func networkPorts(n *api.NetworkResource, task string) (ports []backends.Port) {
	for _, p := range slices.Concat(n.ReservedPorts, n.DynamicPorts) {
		ports = append(ports, backends.Port{Label: p.Label, Task: task, Host: n.IP, Value: p.Value, To: p.To})
	}
	return ports
}

// assignLimits sets the limits that Nomad has assigned. They differ from the job's: Nomad ignores memory_max unless the
// cluster permits it, and computes the CPU of reserved cores.
func assignLimits(d *backends.TaskDefinition, r *api.AllocatedResources) {
	if r == nil || r.Tasks[d.Name] == nil {
		return
	}
	t := r.Tasks[d.Name]
	d.CPU, d.Memory = int(t.Cpu.CpuShares), mebibytes(int(t.Memory.MemoryMB))
	d.MemoryMax = mebibytes(int(t.Memory.MemoryMaxMB))
}

// taskDefinitions returns the tasks of a group in the order in which Nomad starts them.
func taskDefinitions(g *api.TaskGroup) []backends.TaskDefinition {
	all := make([]backends.TaskDefinition, 0, len(g.Tasks))
	for _, t := range g.Tasks {
		d := backends.TaskDefinition{
			Name: t.Name, Driver: t.Driver, Restart: restartPolicy(cmp.Or(t.RestartPolicy, g.RestartPolicy)),
			LogsDisabled: t.LogConfig != nil && deref(t.LogConfig.Disabled),
		}
		if l := t.Lifecycle; l != nil {
			d.Hook, d.Sidecar = l.Hook, l.Sidecar
		}
		if r := t.Resources; r != nil {
			d.CPU, d.Cores = deref(r.CPU), deref(r.Cores)
			d.Memory, d.MemoryMax = mebibytes(deref(r.MemoryMB)), mebibytes(deref(r.MemoryMaxMB))
		}
		for _, m := range t.VolumeMounts {
			v := backends.VolumeMount{Name: deref(m.Volume), Destination: deref(m.Destination), ReadOnly: deref(m.ReadOnly)}
			if request := g.Volumes[v.Name]; request != nil {
				v.Type, v.Source, v.ReadOnly = request.Type, request.Source, v.ReadOnly || request.ReadOnly
			}
			d.Volumes = append(d.Volumes, v)
		}
		all = append(all, d)
	}
	slices.SortStableFunc(all, func(a, b backends.TaskDefinition) int {
		return cmp.Or(cmp.Compare(a.StartOrder(), b.StartOrder()), strings.Compare(a.Name, b.Name))
	})
	return all
}

// sortTasks sorts the tasks of an allocation in the order of their definitions. Other tasks stay behind them, by name.
func sortTasks(tasks []backends.Task, definitions []backends.TaskDefinition) {
	position := func(t backends.Task) int {
		i := slices.IndexFunc(definitions, func(d backends.TaskDefinition) bool { return d.Name == t.Name })
		if i < 0 {
			return len(definitions)
		}
		return i
	}
	slices.SortStableFunc(tasks, func(a, b backends.Task) int { return cmp.Compare(position(a), position(b)) })
}

func mebibytes(n int) uint64 { return uint64(max(n, 0)) << 20 }

func restartPolicy(p *api.RestartPolicy) backends.RestartPolicy {
	if p == nil {
		return backends.RestartPolicy{}
	}
	return backends.RestartPolicy{
		Attempts: deref(p.Attempts), Interval: deref(p.Interval), Delay: deref(p.Delay), Mode: deref(p.Mode),
	}
}

func reschedulePolicy(p *api.ReschedulePolicy) backends.ReschedulePolicy {
	if p == nil {
		return backends.ReschedulePolicy{}
	}
	return backends.ReschedulePolicy{
		Unlimited: deref(p.Unlimited), Attempts: deref(p.Attempts), Interval: deref(p.Interval), Delay: deref(p.Delay),
		MaxDelay: deref(p.MaxDelay),
	}
}
