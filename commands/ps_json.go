package commands

import (
	"time"

	"nomadctld/backends"
)

// The fields of ps --json are an interface: scripts read them. Add; never rename.
type (
	psOutput struct {
		Jobs []psJob `json:"jobs"`
	}
	psJob struct {
		Tier       string   `json:"tier"`
		Namespace  string   `json:"namespace"`
		Job        string   `json:"job"`
		Type       string   `json:"type"`
		Status     string   `json:"status"`
		Deployment string   `json:"deployment"` // of the latest, in Nomad's words; empty: none
		NotPlaced  []string `json:"not_placed"`
		Tasks      []psTask `json:"tasks"`
	}
	psTask struct {
		ExecID     string    `json:"exec_id"` // empty while the allocation's node has not begun
		Allocation string    `json:"allocation"`
		Group      string    `json:"group"`
		Task       string    `json:"task"`
		Node       string    `json:"node"`
		Status     string    `json:"status"` // the allocation's
		State      string    `json:"state"`  // the task's
		Since      time.Time `json:"since"`
		Restarts   int       `json:"restarts"`
		CPU        *float64  `json:"cpu_mhz"` // null: not measured, as the next two
		Memory     *uint64   `json:"memory_bytes"`
		MemoryMax  *uint64   `json:"memory_max_bytes"`
		Flags      []string  `json:"flags"`
	}
)

func psJSON(jobs []backends.Job, usage map[string]backends.Usage) psOutput {
	out := psOutput{Jobs: []psJob{}}
	for _, job := range jobs {
		j := psJob{
			Tier: job.Tier, Namespace: job.Namespace, Job: job.ID, Type: job.Type, Status: job.Status,
			Deployment: job.Deployment, NotPlaced: append([]string{}, placement(job)...), Tasks: []psTask{},
		}
		for _, a := range job.Allocations {
			tasks := a.Tasks
			if len(tasks) == 0 {
				tasks = []backends.Task{{State: "pending"}}
			}
			for _, task := range tasks {
				u := usage[task.ExecID]
				j.Tasks = append(j.Tasks, psTask{
					ExecID: task.ExecID, Allocation: a.ID, Group: a.Group, Task: task.Name, Node: a.Node,
					Status: a.Status, State: task.State, Since: since(a, task).UTC(), Restarts: task.Restarts,
					CPU: u.CPU, Memory: u.Memory, MemoryMax: u.MemoryMax, Flags: taskFlags(a, task),
				})
			}
		}
		out.Jobs = append(out.Jobs, j)
	}
	return out
}
