package e2e

import (
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/internal/testenv/nomadtest"
)

// scriptJobs are the kinds of jobs that a script can register.
var scriptJobs = map[string]func(id, mode string) *api.Job{
	"scalable":      nomadtest.Scalable,
	"canary":        nomadtest.Canary,
	"periodic":      func(id, _ string) *api.Job { return nomadtest.Periodic(id) },
	"parameterized": func(id, _ string) *api.Job { return nomadtest.Parameterized(id) },

	// Three allocations.
	"three": nomadtest.ThreeAllocations,
	// A group "web" with the tasks web and side, and a group "db". Their counts have no limits.
	"groups": func(id, mode string) *api.Job {
		job := nomadtest.Canary(id, mode)
		web := job.TaskGroups[0]
		web.Update.Canary = new(0)
		nomadtest.SetSleep(web.Tasks[0])
		side := *web.Tasks[0]
		side.Name = "side"
		db := *web
		db.Name = new("db")
		db.Tasks = []*api.Task{web.Tasks[0]}
		web.Tasks = []*api.Task{web.Tasks[0], &side}
		job.TaskGroups = append(job.TaskGroups, &db)
		return job
	},
	// A service with one allocation. If its node disconnects, the allocation is unknown for an hour and not replaced.
	"disconnect": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, mode)
		job.TaskGroups[0].Scaling = nil
		job.TaskGroups[0].Disconnect = &api.DisconnectStrategy{LostAfter: new(time.Hour), Replace: new(false)}
		return job
	},
	// The same with two allocations.
	"disconnect-two": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, mode)
		g := job.TaskGroups[0]
		g.Count, g.Scaling, g.Disconnect = new(2), nil, &api.DisconnectStrategy{
			LostAfter: new(time.Hour),
			Replace:   new(false),
		}
		nomadtest.SetSleep(g.Tasks[0])
		return job
	},
	// Two allocations that are not restarted and not rescheduled if they fail.
	"given-up": func(id, mode string) *api.Job {
		return withoutRestarts(id, mode, &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)})
	},
	// A batch job with three allocations. The first one fails and is not rescheduled. The others complete.
	"partly-failed": func(id, mode string) *api.Job {
		job := withoutRestarts(id, mode, &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)})
		job.Type = new("batch")
		g := job.TaskGroups[0]
		g.Count, g.Update = new(3), nil
		g.Tasks[0].Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", `test "$NOMAD_ALLOC_INDEX" != 0`}}
		return job
	},
	// Two allocations that are not restarted, but rescheduled an hour after they fail.
	"rescheduled": func(id, mode string) *api.Job {
		return withoutRestarts(id, mode, &api.ReschedulePolicy{
			Unlimited: new(true), Delay: new(time.Hour), DelayFunction: new("constant"), MaxDelay: new(time.Hour),
		})
	},
	// A service with a port and a task of each lifecycle: setup, proxy (a sidecar), web, warm and clean.
	"lifecycle": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, mode)
		g := job.TaskGroups[0]
		g.Scaling, g.Networks = nil, []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http", To: 80}}}}
		nomadtest.SetSleep(g.Tasks[0])
		for _, t := range []struct{ name, hook string }{
			{"clean", "poststop"}, {"proxy", "prestart"}, {"setup", "prestart"}, {"warm", "poststart"},
		} {
			task := *g.Tasks[0]
			task.Name = t.name
			task.Lifecycle = &api.TaskLifecycle{Hook: t.hook, Sidecar: t.name == "proxy"}
			if t.name != "proxy" {
				task.Config = map[string]any{"command": "/bin/true"}
			}
			g.Tasks = append(g.Tasks, &task)
		}
		return job
	},
	// A batch job whose task writes to stdout and stderr, exits with 3 and is not restarted.
	"crashed": func(id, mode string) *api.Job {
		job := withoutRestarts(id, mode, &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)})
		job.Type = new("batch")
		g := job.TaskGroups[0]
		g.Count, g.Update = new(1), nil
		g.Tasks[0].Config = map[string]any{"command": "/bin/sh", "args": []string{
			"-c", `echo starting; printf "panic: \033[31mno database\n\n\tmain.go:7\n" >&2; exit 3`,
		}}
		return job
	},
	// A service that can run only in the datacenter MODE, such as dc9.
	"elsewhere": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, "a")
		job.Datacenters = []string{mode}
		return job
	},
	// A system job.
	"system": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, mode)
		job.Type = new("system")
		g := job.TaskGroups[0]
		g.Count, g.Scaling, g.Update, g.ReschedulePolicy = nil, nil, nil, nil
		nomadtest.SetSleep(g.Tasks[0])
		return job
	},
	// Two tasks. loud writes a line. The job disables the logs of quiet. With the mode "alone", there is only quiet.
	"quiet": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, "a")
		quiet := job.TaskGroups[0].Tasks[0]
		quiet.Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", "echo heard; exec sleep 3600"}}
		loud := *quiet
		quiet.Name, loud.Name = "quiet", "loud"
		quiet.LogConfig = &api.LogConfig{Disabled: new(true), MaxFiles: new(1), MaxFileSizeMB: new(1)}
		if mode != "alone" {
			job.TaskGroups[0].Tasks = append(job.TaskGroups[0].Tasks, &loud)
		}
		return job
	},
	// The tasks app and side in the group web, and app in the group db. app writes five lines, and the third is an
	// error. The group web has a task cleanup, too, which starts when the others have stopped.
	"chatty": func(id, _ string) *api.Job {
		const script = `echo start; echo two; echo error three; echo four; echo five`
		sleeps := func(name, script string) *api.Task {
			task := *nomadtest.Scalable(id, "a").TaskGroups[0].Tasks[0]
			task.Name = name
			task.Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", script + "; exec sleep 3600"}}
			return &task
		}
		job := nomadtest.Scalable(id, "a")
		web := job.TaskGroups[0]
		web.Scaling = nil
		db := *web
		db.Name = new("db")
		cleanup := sleeps("cleanup", "echo cleaning")
		cleanup.Lifecycle = &api.TaskLifecycle{Hook: "poststop"}
		web.Tasks = []*api.Task{sleeps("app", script), sleeps("side", "echo from side"), cleanup}
		db.Tasks = []*api.Task{sleeps("app", script)}
		job.TaskGroups = append(job.TaskGroups, &db)
		return job
	},
	// A parameterized job whose child jobs write their ID and do not finish.
	"echoing": func(id, _ string) *api.Job {
		job := nomadtest.Parameterized(id)
		job.TaskGroups[0].Tasks[0].Config = map[string]any{
			"command": "/bin/sh", "args": []string{"-c", "echo from $NOMAD_JOB_ID; exec sleep 3600"},
		}
		return job
	},
	// A periodic job whose child jobs do not finish.
	"busy": func(id, _ string) *api.Job {
		job := nomadtest.Periodic(id)
		nomadtest.SetSleep(job.TaskGroups[0].Tasks[0])
		return job
	},
	// A parameterized job without required metadata. The mode is that of its payload: optional, required or forbidden.
	"payload": func(id, mode string) *api.Job {
		job := nomadtest.Parameterized(id)
		job.ParameterizedJob.MetaRequired, job.ParameterizedJob.MetaOptional = nil, []string{"color", "dispatched_by"}
		job.ParameterizedJob.Payload = mode
		return job
	},
}

// withoutRestarts returns a service with two allocations that are not restarted in place. Their count has no limits.
func withoutRestarts(id, mode string, reschedule *api.ReschedulePolicy) *api.Job {
	job := nomadtest.ThreeAllocations(id, mode)
	g := job.TaskGroups[0]
	g.Count, g.Scaling, g.ReschedulePolicy = new(2), nil, reschedule
	g.RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new("fail")}
	return job
}
