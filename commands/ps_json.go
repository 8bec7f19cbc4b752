package commands

import (
	"time"

	"nomadctld/backends"
)

// Scripts read the fields of ps --json. Fields may be added but never renamed.
type (
	psOutput struct {
		Jobs []psJob `json:"jobs" doc:"sorted by ID, tier and namespace"`
	}
	psJob struct {
		Tier       string   `json:"tier"`
		Namespace  string   `json:"namespace"`
		Job        string   `json:"job" doc:"the job's ID"`
		Type       string   `json:"type" doc:"service, batch, system or sysbatch"`
		Status     string   `json:"status" doc:"pending, running or dead"`
		Deployment string   `json:"deployment" doc:"Nomad's status of the latest deployment; empty: none"`
		NotPlaced  []string `json:"not_placed" doc:"the groups that cannot be placed, with the reason"`
		Tasks      []psTask `json:"tasks" doc:"sorted by group, index, allocation (newest first) and name"`
	}
	psTask struct {
		ExecID     string     `json:"exec_id" doc:"empty until the client agent has started the allocation"`
		Allocation string     `json:"allocation" doc:"the ID of the allocation"`
		Group      string     `json:"group"`
		Task       string     `json:"task"`
		Node       string     `json:"node" doc:"the name of the node"`
		Status     string     `json:"status" doc:"of the allocation: pending, running, complete, failed, lost or unknown"`
		State      string     `json:"state" doc:"of the task: pending, running, dead or unknown (may still be running)"`
		Since      time.Time  `json:"since" doc:"start of a running task, end of a dead task, or last change; RFC 3339, UTC"`
		Started    *time.Time `json:"started" doc:"the last start; null: not started"`
		Ended      *time.Time `json:"ended" doc:"null: not finished, or may still be running"`
		Restarts   int        `json:"restarts"`
		CPU        *float64   `json:"cpu_mhz" doc:"null: not measured"`
		Memory     *uint64    `json:"memory_bytes" doc:"null: not measured"`
		MemoryMax  *uint64    `json:"memory_max_bytes" doc:"the peak; null: not measured"`
		Flags      []string   `json:"flags" doc:"the column Extra"`
	}
)

func psJSON(jobs []backends.Job, usage map[string]backends.Usage) psOutput {
	out := psOutput{Jobs: []psJob{}}
	for _, job := range jobs {
		j := psJob{
			Tier: job.Tier, Namespace: job.Namespace, Job: job.ID, Type: job.Type, Status: job.Status,
			Deployment: job.DeploymentStatus, NotPlaced: append([]string{}, placementFailures(job)...), Tasks: []psTask{},
		}
		for _, a := range job.Allocations {
			tasks := a.Tasks
			if len(tasks) == 0 {
				tasks = []backends.Task{{}}
			}
			for _, task := range tasks {
				u := usage[task.ExecID]
				j.Tasks = append(j.Tasks, psTask{
					ExecID: task.ExecID, Allocation: a.ID, Group: a.Group, Task: task.Name, Node: a.Node,
					Status: a.Status, State: taskState(a, task), Since: ageStart(a, task).UTC(), Restarts: task.Restarts,
					Started: timeOrNull(task.Started), Ended: timeOrNull(a.TaskFinishedAt(task)),
					CPU: u.CPU, Memory: u.Memory, MemoryMax: u.MemoryMax, Flags: taskFlags(a, task),
				})
			}
		}
		out.Jobs = append(out.Jobs, j)
	}
	return out
}
