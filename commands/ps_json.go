package commands

import (
	"time"

	"nomadctld/backends"
)

// The fields of ps --json are an interface: scripts read them. Add; never rename.
type (
	psOutput struct {
		Jobs []psJob `json:"jobs" doc:"by ID, tier and namespace"`
	}
	psJob struct {
		Tier       string   `json:"tier"`
		Namespace  string   `json:"namespace"`
		Job        string   `json:"job" doc:"the job's ID"`
		Type       string   `json:"type" doc:"service, batch, system or sysbatch"`
		Status     string   `json:"status" doc:"pending, running or dead"`
		Deployment string   `json:"deployment" doc:"status of the latest in Nomad's words; empty: there is none"`
		NotPlaced  []string `json:"not_placed" doc:"why groups wait for a node, a clause for each"`
		Tasks      []psTask `json:"tasks" doc:"by group, index, age of the allocation, name"`
	}
	psTask struct {
		ExecID     string     `json:"exec_id" doc:"empty until the node has started the allocation"`
		Allocation string     `json:"allocation" doc:"its ID"`
		Group      string     `json:"group"`
		Task       string     `json:"task"`
		Node       string     `json:"node" doc:"its name"`
		Status     string     `json:"status" doc:"the allocation's: pending, running, complete, failed, lost or unknown (its node is disconnected)"`
		State      string     `json:"state" doc:"the task's: pending, running, dead or unknown (it may still be running); the tasks of a lost allocation are dead"`
		Since      time.Time  `json:"since" doc:"start of a running task, end of a dead one, last change of another; RFC 3339, UTC"`
		Started    *time.Time `json:"started" doc:"the last start; null: it has not started"`
		Ended      *time.Time `json:"ended" doc:"null: it has not ended, or may still be running"`
		Restarts   int        `json:"restarts"`
		CPU        *float64   `json:"cpu_mhz" doc:"null: not measured"`
		Memory     *uint64    `json:"memory_bytes" doc:"null: not measured"`
		MemoryMax  *uint64    `json:"memory_max_bytes" doc:"the peak; null: not measured"`
		Flags      []string   `json:"flags" doc:"as in Extra"`
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

// taskState returns the state of a task; also of the tasks of an allocation that has none to tell of, because its node has
// not begun, or it ended before that.
func taskState(a backends.Allocation, t backends.Task) string {
	switch state := a.TaskState(t); {
	case state != "":
		return state
	case a.Terminal():
		return backends.StateDead
	}
	return "pending"
}

// timeOrNull returns nil for a time that is not known.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
