package nomad

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
	"nomadctld/internal/nomadsim"
)

func TestAllocationDetail(t *testing.T) {
	lifecycle := func(hook string, sidecar bool) *api.TaskLifecycle {
		return &api.TaskLifecycle{Hook: hook, Sidecar: sidecar}
	}
	group := &api.TaskGroup{
		Name: new("web"), MaxRunDuration: new(time.Hour),
		RestartPolicy: &api.RestartPolicy{
			Attempts: new(3), Interval: new(time.Minute), Delay: new(time.Second), Mode: new("delay"),
		},
		ReschedulePolicy: &api.ReschedulePolicy{
			Unlimited: new(true), Delay: new(time.Second), MaxDelay: new(time.Hour),
		},
		Disconnect: &api.DisconnectStrategy{Replace: new(false)},
		Volumes:    map[string]*api.VolumeRequest{"data": {Type: "host", Source: "shared", ReadOnly: true}},
		Tasks: []*api.Task{
			{Name: "cleanup", Lifecycle: lifecycle("poststop", false)},
			{Name: "warm", Lifecycle: lifecycle("poststart", false)},
			{
				Name: "web", Driver: "docker", RestartPolicy: &api.RestartPolicy{Mode: new("fail")},
				Resources:    &api.Resources{CPU: new(50), MemoryMB: new(64), MemoryMaxMB: new(128)},
				VolumeMounts: []*api.VolumeMount{{Volume: new("data"), Destination: new("/data")}},
			},
			{Name: "proxy", Lifecycle: lifecycle("prestart", true)},
			{Name: "agent", LogConfig: &api.LogConfig{Disabled: new(true)}, Resources: &api.Resources{Cores: new(2)}},
			{Name: "migrate", Lifecycle: lifecycle("prestart", false)},
		},
	}
	full := &api.Allocation{
		TaskGroup: "web", CreateTime: 1, DesiredTransition: api.DesiredTransition{Migrate: new(true)},
		Job: &api.Job{Type: new("batch"), TaskGroups: []*api.TaskGroup{group}},
		AllocatedResources: &api.AllocatedResources{
			Shared: api.AllocatedSharedResources{
				DiskMB: 300, Networks: []*api.NetworkResource{{Mode: "bridge", DynamicPorts: []api.Port{{Label: "http"}}}},
				Ports: []api.PortMapping{{Label: "http", HostIP: "192.0.2.1", Value: 20001, To: 80}},
			},
			Tasks: map[string]*api.AllocatedTaskResources{
				"web": {
					Cpu:    api.AllocatedCpuResources{CpuShares: 50},
					Memory: api.AllocatedMemoryResources{MemoryMB: 64},
					Networks: []*api.NetworkResource{
						{IP: "192.0.2.1", ReservedPorts: []api.Port{{Label: "old", Value: 8080}}},
					},
				},
				"agent": {
					Cpu:    api.AllocatedCpuResources{CpuShares: 5200},
					Memory: api.AllocatedMemoryResources{MemoryMB: 32, MemoryMaxMB: 64},
				},
				"proxy": nil,
			},
		},
	}
	got := allocationDetail(full)
	var names []string
	for _, d := range got.Tasks {
		names = append(names, d.Name+":"+d.Lifecycle())
	}
	order := "migrate:prestart proxy:prestart sidecar agent:main web:main warm:poststart cleanup:poststop"
	if strings.Join(names, " ") != order {
		t.Errorf("got %s, want %s", names, order)
	}
	web := backends.TaskDefinition{
		Name: "web", Driver: "docker", CPU: 50, Memory: 64 << 20, // Nomad has ignored memory_max
		Restart: backends.RestartPolicy{Mode: "fail"},
		Volumes: []backends.VolumeMount{
			{Name: "data", Type: "host", Source: "shared", Destination: "/data", ReadOnly: true},
		},
	}
	if d := got.Task("web"); !reflect.DeepEqual(d, web) {
		t.Errorf("got %+v, want %+v", d, web)
	}
	if d := got.Task("agent"); d.CPU != 5200 || d.Memory != 32<<20 || d.MemoryMax != 64<<20 || !d.LogsDisabled ||
		d.Cores != 2 || d.Restart.Mode != "delay" || d.Restart.Attempts != 3 {
		t.Errorf("got %+v", d)
	}
	got.Tasks, got.Checks = nil, nil
	want := backends.AllocationDetail{
		Reschedule:  backends.ReschedulePolicy{Unlimited: true, Delay: time.Second, MaxDelay: time.Hour},
		NetworkMode: "bridge", Disk: 300 << 20, Migrating: true, Deadline: time.Unix(3600, 1).UTC(),
		NoReplace: true,
		Ports: []backends.Port{
			{Label: "http", Host: "192.0.2.1", Value: 20001, To: 80},
			{Label: "old", Task: "web", Host: "192.0.2.1", Value: 8080},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}

	full.Job.Type = new("service")
	group.Disconnect.Replace = new(true)
	full.AllocatedResources.Shared.Ports = nil // as of Nomad 0.11
	got = allocationDetail(full)
	if !got.Deadline.IsZero() || got.NoReplace || len(got.Ports) != 2 || got.Ports[0].Label != "http" {
		t.Errorf("a service of an old Nomad: got %+v", got)
	}
	group.Disconnect.Replace = nil
	if allocationDetail(full).NoReplace {
		t.Error("got an allocation that is not replaced, want the default")
	}
	if got := allocationDetail(&api.Allocation{}); !reflect.DeepEqual(got, backends.AllocationDetail{}) {
		t.Errorf("an allocation without a job: got %+v", got)
	}
}

func TestSortTasks(t *testing.T) {
	tasks := []backends.Task{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	sortTasks(tasks, []backends.TaskDefinition{{Name: "c"}, {Name: "a"}})
	got := ""
	for _, task := range tasks {
		got += task.Name
	}
	if got != "cabd" {
		t.Errorf("got %s, want cabd", got)
	}
}

func TestJob_TasksInStartOrder(t *testing.T) {
	c, client := newSimulated(t)
	c.AddJob(nomadsim.Job{ID: "j", Groups: []nomadsim.Group{{Name: "g", Tasks: []nomadsim.Task{
		{Name: "a"}, {Name: "b", Hook: "poststop"}, {Name: "c", Hook: "prestart"}, {Name: "d", Sidecar: true},
	}}}})
	job, err := client.Job(t.Context(), backends.Job{ID: "j", Namespace: "default"})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, task := range job.Allocations[0].Tasks {
		got += task.Name
	}
	for _, d := range job.Groups[0].Tasks {
		got += " " + d.Lifecycle()
	}
	if want := "cadb prestart main poststart sidecar poststop"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
