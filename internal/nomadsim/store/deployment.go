package store

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// Deployment is the stored record of a deployment.
type Deployment struct {
	ID, Namespace, JobID                                           string
	JobVersion, JobModifyIndex, JobSpecModifyIndex, JobCreateIndex uint64
	IsMultiregion                                                  bool
	TaskGroups                                                     map[string]*DeploymentState
	Status, StatusDescription                                      string
	EvalPriority                                                   int
	CreateIndex, ModifyIndex                                       uint64
	CreateTime, ModifyTime                                         int64
}

func (d *Deployment) key() key { return key{d.Namespace, d.ID, d.CreateIndex} }

// Active reports whether the deployment is not finished.
func (d *Deployment) Active() bool {
	switch d.Status {
	case "running", "paused", "pending", "blocked", "unblocking":
		return true
	}
	return false
}

// DeploymentState is the progress of a deployment in one group.
type DeploymentState struct {
	AutoRevert, AutoPromote, Promoted            bool
	ProgressDeadline                             time.Duration
	RequireProgressBy                            *time.Time
	PlacedCanaries                               []string
	DesiredCanaries, DesiredTotal                int
	PlacedAllocs, HealthyAllocs, UnhealthyAllocs int
}

// DeploymentDescriptions are Nomad's most frequent descriptions, by deployment status.
var DeploymentDescriptions = map[string]string{
	"running":    "Deployment is running",
	"paused":     "Deployment is paused",
	"successful": "Deployment completed successfully",
	"failed":     "Failed due to progress deadline",
	"cancelled":  "Cancelled due to newer version of job",
	"pending":    "Deployment is pending, waiting for peer region",
}

// describeDeployment creates the deployment of a described job. countHealth fills in its counts.
func (j *Job) describeDeployment(d jobspec.Deployment, created uint64) {
	if d.Status == "" {
		return
	}
	if d.Description == "" {
		d.Description = DeploymentDescriptions[d.Status]
	}
	j.Deployment = &Deployment{
		ID:        jobspec.UUID("deployment", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10)),
		Namespace: j.Namespace, JobID: j.ID, JobVersion: j.Version,
		JobModifyIndex: j.JobModifyIndex, JobSpecModifyIndex: j.JobModifyIndex, JobCreateIndex: j.CreateIndex,
		Status: d.Status, StatusDescription: d.Description, EvalPriority: j.Priority, CreateIndex: created,
		CreateTime: j.SubmitTime, TaskGroups: map[string]*DeploymentState{},
	}
}

// countHealth counts the placed allocations of the deployment. The argument contains the allocations of all versions
// of the job. If the deployment was successful and none of its allocations is described, it counts DesiredTotal
// allocations as placed and healthy.
func (d *Deployment) countHealth(j *Job, allocations []*Allocation, index uint64) {
	d.ModifyIndex, d.ModifyTime = index, j.SubmitTime
	for _, g := range j.Groups {
		d.TaskGroups[g.Name] = &DeploymentState{DesiredTotal: g.Count, ProgressDeadline: jobspec.DefaultProgressDeadline}
	}
	placed := false
	for _, a := range allocations {
		s := d.TaskGroups[a.TaskGroup]
		if s == nil || a.DeploymentID != d.ID {
			continue
		}
		placed = true
		s.PlacedAllocs++
		s.RequireProgressBy = Stamp(time.Unix(0, a.CreateTime).Add(jobspec.DefaultProgressDeadline))
		if h := a.DeploymentStatus; h != nil && *h.Healthy {
			s.HealthyAllocs++
		} else if h != nil {
			s.UnhealthyAllocs++
		}
		d.ModifyTime = max(d.ModifyTime, a.ModifyTime)
	}
	for _, s := range d.TaskGroups {
		if !placed && d.Status == "successful" {
			s.PlacedAllocs, s.HealthyAllocs = s.DesiredTotal, s.DesiredTotal
			s.RequireProgressBy = Stamp(time.Unix(0, d.CreateTime).Add(jobspec.DefaultProgressDeadline))
		}
	}
}

// DeploymentByID returns a deployment, or nil if there is none.
func (st *State) DeploymentByID(id string) *Deployment {
	i := slices.IndexFunc(st.Deployments, func(d *Deployment) bool { return d.ID == id })
	if i < 0 {
		return nil
	}
	return st.Deployments[i]
}

// LookupDeployment returns a deployment by its full ID, or nil if there is none.
func (st *State) LookupDeployment(id string) (*Deployment, error) {
	if _, err := UUIDDigits(id, true); err != nil {
		return nil, fmt.Errorf("deployment lookup failed: index error: %w", err)
	}
	return st.DeploymentByID(id), nil
}

// Copy returns a copy that may be changed until it is stored.
func (d *Deployment) Copy() *Deployment {
	e := *d
	e.TaskGroups = map[string]*DeploymentState{}
	for name, s := range d.TaskGroups {
		t := *s
		t.PlacedCanaries = slices.Clone(s.PlacedCanaries)
		e.TaskGroups[name] = &t
	}
	return &e
}

// UpdateDescription sets the description of a running deployment, with the promotion that it waits for.
func (d *Deployment) UpdateDescription() {
	if d.Status != "running" {
		return
	}
	d.StatusDescription = DeploymentDescriptions["running"]
	for _, s := range d.TaskGroups {
		switch {
		case s.DesiredCanaries == 0 || s.Promoted:
		case s.AutoPromote:
			d.StatusDescription = "Deployment is running pending automatic promotion"
			return
		default:
			d.StatusDescription = "Deployment is running but requires manual promotion"
		}
	}
}

// CountDeployment counts the allocations of a deployment. newer are allocations that are not stored yet.
func (st *State) CountDeployment(d *Deployment, newer []*Allocation) {
	all := map[string]*Allocation{}
	if j := st.Job(d.Namespace, d.JobID); j != nil {
		for _, a := range j.Allocations {
			all[a.ID] = a
		}
	}
	for _, a := range newer {
		all[a.ID] = a
	}
	for _, s := range d.TaskGroups {
		s.PlacedAllocs, s.HealthyAllocs, s.UnhealthyAllocs = 0, 0, 0
	}
	for a := range maps.Values(all) {
		s := d.TaskGroups[a.TaskGroup]
		if s == nil || a.DeploymentID != d.ID {
			continue
		}
		s.PlacedAllocs++
		if h := a.DeploymentStatus; h != nil && h.Healthy != nil {
			if *h.Healthy {
				s.HealthyAllocs++
			} else {
				s.UnhealthyAllocs++
			}
			if t := h.Timestamp; t != nil && s.RequireProgressBy != nil &&
				t.Add(s.ProgressDeadline).After(*s.RequireProgressBy) {
				s.RequireProgressBy = Stamp(t.Add(s.ProgressDeadline))
			}
		}
	}
}

// StoreDeployment stores a new or changed deployment, also in the job version that it belongs to.
func (st *State) StoreDeployment(d *Deployment, index uint64) {
	d.ModifyIndex, d.ModifyTime = index, time.Now().UnixNano()
	st.Deployments = put(st.Deployments, d, byCreation)
	before := st.Job(d.Namespace, d.JobID)
	if before == nil || before.CreateIndex != d.JobCreateIndex {
		return
	}
	j := *before
	if j.Version == d.JobVersion {
		j.Deployment = d
		if d.Status == "successful" && !j.knownStable {
			j.knownStable, j.ModifyIndex = true, index
		}
	}
	j.EarlierVersions = slices.Clone(j.EarlierVersions)
	for i, v := range j.EarlierVersions {
		if v.Version == d.JobVersion {
			w := *v
			w.Deployment = d
			j.EarlierVersions[i] = &w
		}
	}
	st.StoreJob(&j, index)
}
