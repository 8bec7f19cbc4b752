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
		Actions     []actionOutput   `json:"actions" doc:"the actions that the job defines for its tasks"`
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
		Group      string     `json:"group"`
		Desired    int        `json:"desired"`
		Placed     int        `json:"placed"`
		Healthy    int        `json:"healthy"`
		Unhealthy  int        `json:"unhealthy"`
		Canaries   int        `json:"canaries"`
		Promoted   bool       `json:"promoted"`
		AutoRevert bool       `json:"auto_revert" doc:"Nomad returns to the last stable version if it fails"`
		Promote    bool       `json:"auto_promote" doc:"Nomad promotes the canaries when they are healthy"`
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
		out.Allocations = append(out.Allocations, allocationJSON(a, usage, checks[a.ID]))
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
