package commands

import (
	"time"

	"nomadctld/backends"
)

// Parts of jobOutput. Fields may be added but never renamed.
type (
	allocOutput struct {
		ID         string        `json:"id"`
		Name       string        `json:"name" doc:"job.group[index]"`
		Group      string        `json:"group"`
		Node       string        `json:"node" doc:"the name of the node"`
		NodeID     string        `json:"node_id"`
		NodeState  *nodeOutput   `json:"node_state" doc:"null: the token cannot read nodes; status --json: always null"`
		Status     string        `json:"status" doc:"pending, running, complete, failed, lost or unknown"`
		Desired    string        `json:"desired" doc:"run, stop or evict"`
		Reason     string        `json:"desired_reason" doc:"in Nomad's words"`
		Version    uint64        `json:"version" doc:"of the job"`
		Created    time.Time     `json:"created"`
		Modified   time.Time     `json:"modified"`
		Healthy    *bool         `json:"healthy" doc:"null: unknown"`
		Canary     bool          `json:"canary"`
		Ports      []portOutput  `json:"ports" doc:"status --json: always empty"`
		Disk       uint64        `json:"disk_bytes" doc:"ephemeral disk; status --json: always 0"`
		Replaces   []string      `json:"replaces" doc:"IDs of the failed allocations that it replaces, oldest first"`
		ReplacedBy string        `json:"replaced_by" doc:"an allocation ID"`
		Reschedule *time.Time    `json:"reschedule_at" doc:"when Nomad replaces it; null: not known, or never"`
		Checks     []checkOutput `json:"checks" doc:"status --json: always empty"`
		Tasks      []taskOutput  `json:"tasks"`
	}
	nodeOutput struct {
		Status   string     `json:"status" doc:"initializing, ready, down or disconnected"`
		Eligible bool       `json:"eligible" doc:"for new allocations"`
		Draining bool       `json:"draining"`
		Deadline *time.Time `json:"drain_deadline" doc:"null: none"`
	}
	portOutput struct {
		Label string `json:"label"`
		Task  string `json:"task" doc:"empty: a port of the group"`
		Host  string `json:"host_ip"`
		Port  int    `json:"port" doc:"on the node"`
		To    int    `json:"to" doc:"in the allocation's network; 0: the same"`
	}
	checkOutput struct {
		Service string    `json:"service"`
		Check   string    `json:"check"`
		Task    string    `json:"task" doc:"empty: the check belongs to the group"`
		Status  string    `json:"status" doc:"success, failure or pending"`
		Code    int       `json:"status_code" doc:"of HTTP; 0: not an HTTP check, or no response"`
		Output  string    `json:"output"`
		Time    time.Time `json:"time"`

		Defined *checkDefinitionOutput `json:"definition" doc:"null: not known; status --json: always null"`
	}
	checkDefinitionOutput struct {
		Type     string `json:"type" doc:"http or tcp"`
		Protocol string `json:"protocol" doc:"http or https; empty: a TCP check"`
		Method   string `json:"method" doc:"empty: a TCP check"`
		Path     string `json:"path" doc:"hidden if it looks like a secret; empty: a TCP check"`
		Port     string `json:"port" doc:"a label or a number; empty: none"`
	}
	taskOutput struct {
		ExecID    string     `json:"exec_id"`
		Task      string     `json:"task"`
		State     string     `json:"state" doc:"pending, running, dead or unknown (may still be running)"`
		Started   *time.Time `json:"started" doc:"the last start; null: not started"`
		Ended     *time.Time `json:"ended" doc:"null: not finished, as far as Nomad knows"`
		Restarts  int        `json:"restarts"`
		Restarted *time.Time `json:"last_restart" doc:"null: none"`
		CPU       *float64   `json:"cpu_mhz" doc:"null: not measured; status --json never measures it"`
		Memory    *uint64    `json:"memory_bytes" doc:"null: not measured; status --json never measures it"`
		MemoryMax *uint64    `json:"memory_max_bytes" doc:"the peak; null: not measured; status --json never measures it"`
		Flags     []string   `json:"flags" doc:"the column Extra of ps in a pipe"`

		Defined *definitionOutput `json:"definition" doc:"null: not known; status --json: always null"`
		Events  []eventOutput     `json:"events" doc:"oldest first"`
	}
	definitionOutput struct {
		Driver    string         `json:"driver"`
		Lifecycle string         `json:"lifecycle" doc:"main, prestart, poststart or poststop, and sidecar"`
		CPU       int            `json:"cpu_mhz"`
		Cores     int            `json:"cores" doc:"reserved cores; 0: none"`
		Memory    uint64         `json:"memory_bytes"`
		MemoryMax uint64         `json:"memory_max_bytes" doc:"0: no more than memory_bytes"`
		Restart   restartOutput  `json:"restart_policy"`
		Volumes   []volumeOutput `json:"volumes"`
	}
	restartOutput struct {
		Attempts int     `json:"attempts"`
		Interval float64 `json:"interval_seconds"`
		Delay    float64 `json:"delay_seconds"`
		Mode     string  `json:"mode" doc:"fail or delay"`
	}
	volumeOutput struct {
		Volume      string `json:"volume"`
		Type        string `json:"type" doc:"host or csi"`
		Source      string `json:"source"`
		Destination string `json:"destination" doc:"the path in the task"`
		ReadOnly    bool   `json:"read_only"`
	}
	eventOutput struct {
		Time    time.Time         `json:"time"`
		Type    string            `json:"type"`
		Message string            `json:"message"`
		Details map[string]string `json:"details"`
	}
)

func allocationJSON(a backends.Allocation, usage map[string]backends.Usage, checks []backends.Check) allocOutput {
	one := allocOutput{
		ID: a.ID, Name: a.Name, Group: a.Group, Node: a.Node, NodeID: a.NodeID, Status: a.Status, Desired: a.Desired,
		Reason: a.DesiredReason, Version: a.Version, Created: a.Created, Modified: a.Modified, Healthy: a.Healthy,
		Canary: a.Canary, Replaces: []string{}, ReplacedBy: a.Next, Reschedule: timeOrNull(a.RescheduleAt),
		Ports: []portOutput{}, Checks: []checkOutput{}, Tasks: []taskOutput{},
	}
	for _, r := range a.Rescheduled {
		one.Replaces = append(one.Replaces, r.Previous)
	}
	for _, c := range checks {
		one.Checks = append(one.Checks, checkOutput{
			Service: c.Service, Check: c.Name, Task: c.Task, Status: c.Status, Code: c.StatusCode, Output: c.Output,
			Time: c.Time,
		})
	}
	for _, t := range a.Tasks {
		u := usage[t.ExecID]
		task := taskOutput{
			ExecID: t.ExecID, Task: t.Name, State: taskState(a, t), Started: timeOrNull(t.Started),
			Ended: timeOrNull(a.TaskFinishedAt(t)), Restarts: t.Restarts,
			Restarted: timeOrNull(t.LastRestart), CPU: u.CPU, Memory: u.Memory, MemoryMax: u.MemoryMax,
			Flags: extraLetters(a, t), Events: []eventOutput{},
		}
		for _, e := range t.Events {
			task.Events = append(task.Events, eventOutput{e.Time, e.Type, e.Message, e.Details})
		}
		one.Tasks = append(one.Tasks, task)
	}
	return one
}
