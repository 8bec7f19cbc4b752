package nomadtest

import (
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
)

func service(namespace, id string, groups ...*api.TaskGroup) *api.Job {
	job := api.NewServiceJob(id, id, "global", 50)
	job.Namespace = &namespace
	job.TaskGroups = groups
	return job
}

// versionsJob returns p-team1-versions. A change of mode replaces its allocations.
func versionsJob(count int, mode string) *api.Job {
	t := task("web", []string{"/bin/sleep", "3600"})
	t.Env = map[string]string{"MODE": mode}
	return service("default", "p-team1-versions", group("web", count, t))
}

// movedJob returns p-team1-moved. Its first allocation creates the marker file and fails, and the second one runs.
func movedJob(marker string) *api.Job {
	g := withLongHealthyTime(group("web", 1, task("web", []string{
		"/bin/sh", "-c", `test -e "$0" && exec /bin/sleep 3600; touch "$0"; exit 1`, marker,
	})))
	g.RestartPolicy.Attempts = pointer(0)
	g.ReschedulePolicy = &api.ReschedulePolicy{
		Attempts: pointer(1), Interval: pointer(time.Hour), Delay: pointer(5 * time.Second),
		DelayFunction: pointer("constant"),
		Unlimited:     pointer(false),
	}
	return service("default", "p-team1-moved", g)
}

// checkedJob returns p-team1-checked. Its checks connect to the agent, the only listener that is sure to exist. Its
// deployment depends on the task states, because the failing check would fail it.
func checkedJob(port int) *api.Job {
	check := func(name, kind, path string) api.ServiceCheck {
		return api.ServiceCheck{Name: name, Type: kind, Path: path, Interval: 2 * time.Second, Timeout: time.Second}
	}
	g := group("api", 1, task("web", []string{"/bin/sleep", "3600"}))
	g.Update.HealthCheck = pointer("task_states")
	g.Services = []*api.Service{{
		Name: "team1-checked", Provider: "nomad", Address: "127.0.0.1", PortLabel: strconv.Itoa(port),
		Checks: []api.ServiceCheck{check("alive", "tcp", ""), check("ready", "http", "/not/ready")},
	}}
	return service("default", "p-team1-checked", g)
}

// batch returns a batch job that exits immediately.
func batch(id string) *api.Job {
	g := group("run", 1, task("run", []string{"/bin/true"}))
	g.Update = nil
	job := service("default", id, g)
	job.Type = pointer("batch")
	return job
}

// Programs of p-team3-talker, p-team3-finished and p-team3-crashed.
var (
	talkCommand = []string{
		"/bin/sh", "-c",
		`i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo "out $i"; echo "err $i" >&2; done; exec /bin/sleep 3600`,
	}
	onceCommand  = []string{"/bin/sh", "-c", "echo hello from once; echo bye >&2"}
	crashCommand = []string{"/bin/sh", "-c", "echo attempt; exit 7"}
)

func finishedJob() *api.Job {
	job := batch("p-team3-finished")
	job.TaskGroups[0].Tasks = []*api.Task{task("once", onceCommand)}
	return job
}

func crashedJob() *api.Job {
	g := withLongHealthyTime(group("crash", 1, task("crash", crashCommand)))
	g.RestartPolicy.Attempts = pointer(1)
	return service("default", "p-team3-crashed", g)
}

func periodic(id string, plan *api.PeriodicConfig) *api.Job {
	job := batch(id)
	plan.SpecType = pointer(api.PeriodicSpecCron)
	job.Periodic = plan
	return job
}

func parameterized(id string, required ...string) *api.Job {
	job := batch(id)
	job.ParameterizedJob = &api.ParameterizedJobConfig{MetaRequired: required}
	return job
}

// group returns a group that restarts tasks twice and does not reschedule failed allocations.
func group(name string, count int, tasks ...*api.Task) *api.TaskGroup {
	g := api.NewTaskGroup(name, count)
	g.RestartPolicy = &api.RestartPolicy{
		Attempts: pointer(2), Interval: pointer(5 * time.Minute), Delay: pointer(time.Second), Mode: pointer("fail"),
	}
	g.ReschedulePolicy = &api.ReschedulePolicy{Attempts: pointer(0), Unlimited: pointer(false)}
	g.Update = &api.UpdateStrategy{
		MinHealthyTime: pointer(time.Second), HealthyDeadline: pointer(30 * time.Second),
		ProgressDeadline: pointer(time.Minute),
	}
	g.Tasks = tasks
	return g
}

// withLongHealthyTime prevents a task that exits immediately from becoming healthy on a slow machine.
func withLongHealthyTime(g *api.TaskGroup) *api.TaskGroup {
	g.Update.MinHealthyTime = pointer(10 * time.Second)
	return g
}

func task(name string, argv []string) *api.Task {
	t := api.NewTask(name, "raw_exec")
	t.Config = map[string]any{"command": argv[0], "args": argv[1:]}
	t.Resources = &api.Resources{CPU: pointer(20), MemoryMB: pointer(16)}
	return t
}

func pointer[T any](v T) *T { return &v }
