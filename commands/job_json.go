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
		Parent      string           `json:"parent" doc:"the parent of a child job; empty: none"`
		Schedule    *scheduleOutput  `json:"schedule" doc:"of a periodic or parameterized job; null: neither"`
		Next        *time.Time       `json:"next_launch" doc:"next run of a periodic job; null: none"`
		Children    *childrenOutput  `json:"children" doc:"numbers of child jobs; null: not periodic or parameterized"`
		Groups      []groupOutput    `json:"groups" doc:"sorted by name"`
		Deployment  deployOutput     `json:"deployment" doc:"the latest deployment; empty id: none"`
		NotPlaced   []unplacedOutput `json:"not_placed" doc:"groups that cannot be placed, sorted by name"`
		Evaluations []evalOutput     `json:"evaluations" doc:"newest first"`
		Allocations []allocOutput    `json:"allocations" doc:"sorted by group and index, newest first"`
	}
	scheduleOutput struct {
		Cron            []string `json:"cron" doc:"empty: not periodic"`
		TimeZone        string   `json:"time_zone" doc:"empty: UTC"`
		Disabled        bool     `json:"disabled"`
		ProhibitOverlap bool     `json:"prohibit_overlap"`
		Parameterized   bool     `json:"parameterized"`
		MetaRequired    []string `json:"meta_required" doc:"keys"`
		MetaOptional    []string `json:"meta_optional" doc:"keys"`
		Payload         string   `json:"payload" doc:"optional, required or forbidden; empty: not parameterized"`
	}
	childrenOutput struct {
		Pending int `json:"pending"`
		Running int `json:"running"`
		Dead    int `json:"dead"`
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
		Group     string `json:"group"`
		Desired   int    `json:"desired"`
		Placed    int    `json:"placed"`
		Healthy   int    `json:"healthy"`
		Unhealthy int    `json:"unhealthy"`
		Canaries  int    `json:"canaries"`
		Promoted  bool   `json:"promoted"`

		AutoRevert       bool       `json:"auto_revert"`
		AutoPromote      bool       `json:"auto_promote"`
		ProgressDeadline *time.Time `json:"progress_deadline" doc:"null: none"`
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
		Name       string        `json:"name" doc:"job.group[index]"`
		Group      string        `json:"group"`
		Node       string        `json:"node" doc:"the name of the node"`
		NodeState  *nodeOutput   `json:"node_state" doc:"null: the gateway may not read nodes; only info --json has it"`
		Status     string        `json:"status" doc:"pending, running, complete, failed, lost or unknown"`
		Desired    string        `json:"desired" doc:"run, stop or evict"`
		Reason     string        `json:"desired_reason" doc:"in Nomad's words"`
		Version    uint64        `json:"version" doc:"of the job"`
		Created    time.Time     `json:"created"`
		Modified   time.Time     `json:"modified"`
		Healthy    *bool         `json:"healthy" doc:"null: unknown"`
		Canary     bool          `json:"canary"`
		Ports      []portOutput  `json:"ports" doc:"only info --json has them"`
		Replaces   []string      `json:"replaces" doc:"IDs of the failed allocations that it replaces, oldest first"`
		ReplacedBy string        `json:"replaced_by" doc:"an allocation ID"`
		Reschedule *time.Time    `json:"reschedule_at" doc:"when Nomad replaces it because it failed; null: not known, or never"`
		Checks     []checkOutput `json:"checks"`
		Tasks      []taskOutput  `json:"tasks"`
	}
	nodeOutput struct {
		Status   string     `json:"status" doc:"initializing, ready, down or disconnected"`
		Eligible bool       `json:"eligible" doc:"for new allocations"`
		Draining bool       `json:"draining"`
		Forced   *time.Time `json:"drain_deadline" doc:"null: none"`
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
	}
	taskOutput struct {
		ExecID    string     `json:"exec_id"`
		Task      string     `json:"task"`
		State     string     `json:"state" doc:"pending, running, dead or unknown (may still be running)"`
		Started   *time.Time `json:"started" doc:"the last start; null: not started"`
		Ended     *time.Time `json:"ended" doc:"null: not finished, or may still be running"`
		Restarts  int        `json:"restarts"`
		Restarted *time.Time `json:"last_restart" doc:"null: none"`
		CPU       *float64   `json:"cpu_mhz" doc:"null: not measured; status --json never measures it"`
		Memory    *uint64    `json:"memory_bytes" doc:"null: not measured; status --json never measures it"`
		MemoryMax *uint64    `json:"memory_max_bytes" doc:"the peak; null: not measured; status --json never measures it"`
		Flags     []string   `json:"flags" doc:"the column Extra of ps in a pipe"`

		Defined *definitionOutput `json:"definition" doc:"null: not known; only info --json has it"`
		Events  []eventOutput     `json:"events" doc:"oldest first"`
	}
	definitionOutput struct {
		Driver    string         `json:"driver"`
		Lifecycle string         `json:"lifecycle" doc:"main, or prestart, poststart or poststop, with sidecar"`
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

func jobJSON(job backends.JobDetail, usage map[string]backends.Usage, checks map[string][]backends.Check) jobOutput {
	out := jobOutput{
		Tier: job.Tier, Namespace: job.Namespace, Job: job.ID, Name: job.Name, Type: job.Type, Status: job.Status,
		Stopped: job.Stopped, Version: job.Version, Priority: job.Priority,
		Datacenters: append([]string{}, job.Datacenters...), NodePool: job.NodePool, Submitted: job.Submitted,
		Groups: []groupOutput{}, NotPlaced: []unplacedOutput{}, Evaluations: []evalOutput{}, Allocations: []allocOutput{},
		Deployment: deployOutput{Groups: []rolloutOutput{}},
	}
	out.Parent, out.Next = job.Parent, nextRun(job.Schedule)
	if s := job.Schedule; s.Parameterized || len(s.Specs) > 0 {
		out.Schedule = &scheduleOutput{
			append([]string{}, s.Specs...), s.TimeZone, s.Disabled, s.ProhibitOverlap, s.Parameterized,
			append([]string{}, s.MetaRequired...), append([]string{}, s.MetaOptional...), s.Payload,
		}
	}
	if c := job.Children; c != nil {
		out.Children = &childrenOutput{c.Pending, c.Running, c.Dead}
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
	for _, u := range job.Unplaced {
		out.NotPlaced = append(out.NotPlaced, unplacedOutput{u.Group, append([]string{}, u.Reasons...)})
	}
	for _, e := range job.Evaluations {
		out.Evaluations = append(out.Evaluations, evalOutput{e.ID, e.Trigger, e.Status, e.Description, e.Created})
	}
	for _, a := range job.Allocations {
		one := allocOutput{
			ID: a.ID, Name: a.Name, Group: a.Group, Node: a.Node, Status: a.Status, Desired: a.Desired, Reason: a.DesiredReason,
			Version: a.Version, Created: a.Created, Modified: a.Modified, Healthy: a.Healthy, Canary: a.Canary,
			Replaces: []string{}, ReplacedBy: a.Next, Reschedule: timeOrNull(a.RescheduleAt),
			Ports: []portOutput{}, Checks: []checkOutput{}, Tasks: []taskOutput{},
		}
		for _, r := range a.Rescheduled {
			one.Replaces = append(one.Replaces, r.Previous)
		}
		for _, c := range checks[a.ID] {
			one.Checks = append(one.Checks, checkOutput{c.Service, c.Name, c.Task, c.Status, c.StatusCode, c.Output, c.Time})
		}
		for _, t := range a.Tasks {
			u := usage[t.ExecID]
			task := taskOutput{
				ExecID: t.ExecID, Task: t.Name, State: taskState(a, t), Started: timeOrNull(t.Started),
				Ended: timeOrNull(a.TaskFinishedAt(t)), Restarts: t.Restarts,
				Restarted: timeOrNull(t.LastRestart), CPU: u.CPU, Memory: u.Memory, MemoryMax: u.MemoryMax, Flags: taskFlags(a, t), Events: []eventOutput{},
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

func nextRun(s backends.Schedule) *time.Time {
	if s.Next.IsZero() {
		return nil
	}
	return &s.Next // in the job's time zone
}

func deploymentJSON(d backends.Deployment) deployOutput {
	out := deployOutput{d.ID, d.Version, d.Status, d.Description, []rolloutOutput{}}
	for _, g := range d.Groups {
		out.Groups = append(out.Groups, rolloutOutput{
			g.Group, g.Desired, g.Placed, g.Healthy, g.Unhealthy, g.Canaries, g.Promoted, g.AutoRevert, g.AutoPromote,
			timeOrNull(g.ProgressDeadline),
		})
	}
	return out
}
