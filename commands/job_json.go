package commands

import (
	"time"

	"nomadctld/backends"
)

// Scripts read the fields of info --json and status --json. Fields may be added but never renamed.
type (
	jobOutput struct {
		Tier        string           `json:"tier"`
		Namespace   string           `json:"namespace"`
		Job         string           `json:"job" doc:"the job's ID"`
		Name        string           `json:"name"`
		Type        string           `json:"type" doc:"service, batch, system or sysbatch"`
		Status      string           `json:"status" doc:"pending, running or dead"`
		Stopped     bool             `json:"stopped"`
		Version     uint64           `json:"version"`
		Priority    int              `json:"priority"`
		Datacenters []string         `json:"datacenters"`
		NodePool    string           `json:"node_pool"`
		Submitted   time.Time        `json:"submitted"`
		Next        *time.Time       `json:"next_launch" doc:"next run of a periodic job; null: none"`
		Groups      []groupOutput    `json:"groups" doc:"sorted by name"`
		Deployment  deployOutput     `json:"deployment" doc:"the latest deployment; empty id: none"`
		Actions     []actionOutput   `json:"actions" doc:"the actions that the job defines for its tasks"`
		NotPlaced   []unplacedOutput `json:"not_placed" doc:"groups that cannot be placed, sorted by name"`
		Evaluations []evalOutput     `json:"evaluations" doc:"newest first"`
		Allocations []allocOutput    `json:"allocations" doc:"sorted by group and index, newest first"`
	}
	groupOutput struct {
		Group    string `json:"group"`
		Count    int    `json:"count"`
		Queued   int    `json:"queued"`
		Starting int    `json:"starting"`
		Running  int    `json:"running"`
		Failed   int    `json:"failed"`
		Complete int    `json:"complete"`
		Lost     int    `json:"lost"`
		Unknown  int    `json:"unknown"`
	}
	deployOutput struct {
		ID          string          `json:"id"`
		Version     uint64          `json:"version"`
		Status      string          `json:"status"`
		Description string          `json:"description"`
		Groups      []rolloutOutput `json:"groups"`
	}
	rolloutOutput struct {
		Group      string     `json:"group"`
		Desired    int        `json:"desired"`
		Placed     int        `json:"placed"`
		Healthy    int        `json:"healthy"`
		Unhealthy  int        `json:"unhealthy"`
		Canaries   int        `json:"canaries"`
		Promoted   bool       `json:"promoted"`
		AutoRevert bool       `json:"auto_revert" doc:"Nomad returns to the last stable version if it fails"`
		Deadline   *time.Time `json:"progress_deadline" doc:"the deployment fails if nothing becomes healthy before it"`
	}
	actionOutput struct {
		Action string `json:"action"`
		Group  string `json:"group"`
		Task   string `json:"task"`
	}
	unplacedOutput struct {
		Group   string   `json:"group"`
		Reasons []string `json:"reasons"`
	}
	evalOutput struct {
		ID          string    `json:"id"`
		Trigger     string    `json:"triggered_by"`
		Status      string    `json:"status"`
		Description string    `json:"description"`
		Created     time.Time `json:"created"`
	}
	allocOutput struct {
		ID         string        `json:"id"`
		Group      string        `json:"group"`
		Node       string        `json:"node" doc:"the name of the node"`
		Status     string        `json:"status" doc:"pending, running, complete, failed, lost or unknown"`
		Desired    string        `json:"desired" doc:"run, stop or evict"`
		Version    uint64        `json:"version" doc:"of the job"`
		Created    time.Time     `json:"created"`
		Modified   time.Time     `json:"modified"`
		Healthy    *bool         `json:"healthy" doc:"null: unknown"`
		Replaces   []string      `json:"replaces" doc:"IDs of the failed allocations that it replaces, oldest first"`
		ReplacedBy string        `json:"replaced_by" doc:"an allocation ID"`
		Checks     []checkOutput `json:"checks"`
		Tasks      []taskOutput  `json:"tasks"`
	}
	checkOutput struct {
		Service string    `json:"service"`
		Check   string    `json:"check"`
		Task    string    `json:"task" doc:"empty: the check belongs to the group"`
		Status  string    `json:"status" doc:"success, failure or pending"`
		Output  string    `json:"output"`
		Time    time.Time `json:"time"`
	}
	taskOutput struct {
		ExecID    string        `json:"exec_id"`
		Task      string        `json:"task"`
		State     string        `json:"state" doc:"pending, running, dead or unknown (may still be running)"`
		Started   *time.Time    `json:"started" doc:"the last start; null: not started"`
		Ended     *time.Time    `json:"ended" doc:"null: not finished, or may still be running"`
		Restarts  int           `json:"restarts"`
		CPU       *float64      `json:"cpu_mhz" doc:"null: not measured; status --json never measures it"`
		Memory    *uint64       `json:"memory_bytes" doc:"null: not measured; status --json never measures it"`
		MemoryMax *uint64       `json:"memory_max_bytes" doc:"the peak; null: not measured; status --json never measures it"`
		Flags     []string      `json:"flags" doc:"the column Extra of ps in a pipe"`
		Events    []eventOutput `json:"events" doc:"oldest first"`
	}
	eventOutput struct {
		Time    time.Time         `json:"time"`
		Type    string            `json:"type"`
		Message string            `json:"message"`
		Details map[string]string `json:"details"`
	}
)

func jobJSON(job backends.JobDetail, usage map[string]backends.Usage, checks map[string][]backends.Check) jobOutput {
	out := jobOutput{
		Tier: job.Tier, Namespace: job.Namespace, Job: job.ID, Name: job.Name, Type: job.Type, Status: job.Status,
		Stopped: job.Stopped, Version: job.Version, Priority: job.Priority,
		Datacenters: append([]string{}, job.Datacenters...), NodePool: job.NodePool, Submitted: job.Submitted,
		Groups: []groupOutput{}, Actions: []actionOutput{}, NotPlaced: []unplacedOutput{},
		Evaluations: []evalOutput{}, Allocations: []allocOutput{},
		Deployment: deployOutput{Groups: []rolloutOutput{}},
	}
	if !job.Schedule.Next.IsZero() {
		out.Next = &job.Schedule.Next
	}
	for _, g := range job.Groups {
		c := g.Counts
		out.Groups = append(out.Groups, groupOutput{
			g.Name, g.Count, c.Queued, c.Starting, c.Running, c.Failed, c.Complete, c.Lost, c.Unknown,
		})
	}
	if d := job.LatestDeployment; d != nil {
		out.Deployment = deploymentJSON(*d)
	}
	for _, a := range job.Actions {
		out.Actions = append(out.Actions, actionOutput{a.Name, a.Group, a.Task})
	}
	for _, u := range job.Unplaced {
		out.NotPlaced = append(out.NotPlaced, unplacedOutput{u.Group, append([]string{}, u.Reasons...)})
	}
	for _, e := range job.Evaluations {
		out.Evaluations = append(out.Evaluations, evalOutput{e.ID, e.Trigger, e.Status, e.Description, e.Created})
	}
	for _, a := range job.Allocations {
		one := allocOutput{
			ID: a.ID, Group: a.Group, Node: a.Node, Status: a.Status, Desired: a.Desired, Version: a.Version, Created: a.Created,
			Modified: a.Modified, Healthy: a.Healthy, Replaces: []string{}, ReplacedBy: a.Next, Checks: []checkOutput{},
			Tasks: []taskOutput{},
		}
		for _, r := range a.Rescheduled {
			one.Replaces = append(one.Replaces, r.Previous)
		}
		for _, c := range checks[a.ID] {
			one.Checks = append(one.Checks, checkOutput{c.Service, c.Name, c.Task, c.Status, c.Output, c.Time})
		}
		for _, t := range a.Tasks {
			u := usage[t.ExecID]
			task := taskOutput{
				ExecID: t.ExecID, Task: t.Name, State: taskState(a, t), Started: timeOrNull(t.Started),
				Ended: timeOrNull(a.TaskFinishedAt(t)), Restarts: t.Restarts,
				CPU: u.CPU, Memory: u.Memory, MemoryMax: u.MemoryMax, Flags: taskFlags(a, t), Events: []eventOutput{},
			}
			for _, e := range t.Events {
				task.Events = append(task.Events, eventOutput{e.Time, e.Type, e.Message, e.Details})
			}
			one.Tasks = append(one.Tasks, task)
		}
		out.Allocations = append(out.Allocations, one)
	}
	return out
}

func deploymentJSON(d backends.Deployment) deployOutput {
	out := deployOutput{d.ID, d.Version, d.Status, d.Description, []rolloutOutput{}}
	for _, g := range d.Groups {
		out.Groups = append(out.Groups, rolloutOutput{
			g.Group, g.Desired, g.Placed, g.Healthy, g.Unhealthy, g.Canaries, g.Promoted, g.AutoRevert,
			timeOrNull(g.ProgressDeadline),
		})
	}
	return out
}
