package commands

import (
	"strings"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
)

// Scripts read the fields of ps --json. Fields may be added but never renamed.
type (
	psOutput struct {
		Jobs []psJob `json:"jobs" doc:"sorted by ID, tier and namespace, or by ps --sort"`
	}
	psJob struct {
		Tier       string   `json:"tier"`
		Namespace  string   `json:"namespace"`
		Job        string   `json:"job" doc:"the job's ID"`
		Type       string   `json:"type" doc:"service, batch, system or sysbatch"`
		Status     string   `json:"status" doc:"pending, running or dead"`
		Deployment string   `json:"deployment" doc:"Nomad's status of the latest deployment; empty: none"`
		State      string   `json:"state" doc:"running/wanted allocations as in 2/3, or stopped, complete, failed..."`
		Running    int      `json:"running" doc:"how many of the wanted allocations are running"`
		Wanted     int      `json:"wanted" doc:"allocations that the job wants"`
		Stopped    bool     `json:"stopped"`
		Problem    bool     `json:"problem" doc:"the job or one of its tasks needs attention"`
		Reasons    []string `json:"reasons" doc:"why the job is in this state"`
		NotPlaced  []string `json:"not_placed" doc:"the groups that cannot be placed, with the reason"`
		Tasks      []psTask `json:"tasks" doc:"sorted by group, index, allocation (newest first) and name, or by ps --sort"`
	}
	psTask struct {
		ExecID     string     `json:"exec_id" doc:"empty until the client agent has started the allocation"`
		Allocation string     `json:"allocation" doc:"the ID of the allocation"`
		Group      string     `json:"group"`
		Task       string     `json:"task"`
		Node       string     `json:"node" doc:"the name of the node"`
		Status     string     `json:"status" doc:"of the allocation: pending, running, complete, failed, lost or unknown"`
		State      string     `json:"state" doc:"of the task: pending, running, dead or unknown (may still be running)"`
		Since      time.Time  `json:"since" doc:"start of a running task, stop of a dead task, or last change; RFC 3339, UTC"`
		Started    *time.Time `json:"started" doc:"the last start; null: not started"`
		Ended      *time.Time `json:"ended" doc:"null: not finished, as far as Nomad knows"`
		Restarts   int        `json:"restarts"`
		CPU        *float64   `json:"cpu_mhz" doc:"null: not measured"`
		Memory     *uint64    `json:"memory_bytes" doc:"null: not measured"`
		MemoryMax  *uint64    `json:"memory_max_bytes" doc:"the peak; null: not measured"`
		Flags      []string   `json:"flags" doc:"the column Extra of ps in a pipe, as a list"`
		Name       string     `json:"name" doc:"the group with its index, as in web[1]"`
		Condition  string     `json:"condition" doc:"the column State of ps on a terminal: running, restarting, failed..."`
		Reasons    []string   `json:"reasons" doc:"the column Extra of ps on a terminal"`
		Problem    bool       `json:"problem" doc:"the task needs attention"`
		Canary     bool       `json:"canary"`
		Version    uint64     `json:"version" doc:"of the job"`
	}
)

// psJSON returns the jobs of pstree as JSON.
func psJSON(jobs []backends.Job, usage map[string]backends.Usage) psOutput {
	return newPsView(jobs, usage, nil, time.Now()).json()
}

func (v *psView) json() psOutput {
	out := psOutput{Jobs: []psJob{}}
	for _, view := range v.jobs {
		job := view.job
		j := psJob{
			Tier: job.Tier, Namespace: job.Namespace, Job: job.ID, Type: job.Type, Status: job.Status,
			Deployment: job.DeploymentStatus, State: view.state.Word, Stopped: job.Stopped, Problem: view.state.Problem,
			Reasons: append([]string{}, view.state.Reasons...), NotPlaced: append([]string{}, placementFailures(job)...),
			Tasks: []psTask{},
		}
		j.Running, j.Wanted = jobstate.Count(job)
		for _, t := range view.tasks {
			a, task, u := t.allocation, t.task, t.usage
			j.Problem = j.Problem || t.state.Problem
			j.Tasks = append(j.Tasks, psTask{
				ExecID: task.ExecID, Allocation: a.ID, Group: a.Group, Task: task.Name, Node: a.Node,
				Status: a.Status, State: taskState(a, task), Since: ageStart(a, task).UTC(), Restarts: task.Restarts,
				Started: timeOrNull(task.Started), Ended: timeOrNull(a.TaskFinishedAt(task)),
				CPU: u.CPU, Memory: u.Memory, MemoryMax: u.MemoryMax, Flags: t.letters(),
				Name: strings.TrimPrefix(a.Name, a.JobID+"."), Condition: t.state.Word,
				Reasons: append([]string{}, t.state.Reasons...), Problem: t.state.Problem, Canary: a.Canary, Version: a.Version,
			})
		}
		out.Jobs = append(out.Jobs, j)
	}
	return out
}
