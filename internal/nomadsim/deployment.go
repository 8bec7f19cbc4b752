package nomadsim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// deployment is the stored record of a deployment.
type deployment struct {
	ID, Namespace, JobID                                           string
	JobVersion, JobModifyIndex, JobSpecModifyIndex, JobCreateIndex uint64
	IsMultiregion                                                  bool
	TaskGroups                                                     map[string]*deploymentState
	Status, StatusDescription                                      string
	EvalPriority                                                   int
	CreateIndex, ModifyIndex                                       uint64
	CreateTime, ModifyTime                                         int64
}

func (d *deployment) key() key { return key{d.Namespace, d.ID, d.CreateIndex} }

func (d *deployment) active() bool {
	switch d.Status {
	case "running", "paused", "pending", "blocked", "unblocking":
		return true
	}
	return false
}

// deploymentState is the progress of a deployment in one group.
type deploymentState struct {
	AutoRevert, AutoPromote, Promoted            bool
	ProgressDeadline                             time.Duration
	RequireProgressBy                            *time.Time
	PlacedCanaries                               []string
	DesiredCanaries, DesiredTotal                int
	PlacedAllocs, HealthyAllocs, UnhealthyAllocs int
}

// deploymentDescriptions are Nomad's most frequent descriptions, by deployment status.
var deploymentDescriptions = map[string]string{
	"running":    "Deployment is running",
	"paused":     "Deployment is paused",
	"successful": "Deployment completed successfully",
	"failed":     "Failed due to progress deadline",
	"cancelled":  "Cancelled due to newer version of job",
	"pending":    "Deployment is pending, waiting for peer region",
}

// describeDeployment creates the deployment of a described job. countHealth fills in its counts.
func (j *job) describeDeployment(d jobspec.Deployment, created uint64) {
	if d.Status == "" {
		return
	}
	if d.Description == "" {
		d.Description = deploymentDescriptions[d.Status]
	}
	j.deployment = &deployment{
		ID:        jobspec.UUID("deployment", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10)),
		Namespace: j.Namespace, JobID: j.ID, JobVersion: j.Version,
		JobModifyIndex: j.JobModifyIndex, JobSpecModifyIndex: j.JobModifyIndex, JobCreateIndex: j.CreateIndex,
		Status: d.Status, StatusDescription: d.Description, EvalPriority: j.Priority, CreateIndex: created,
		CreateTime: j.SubmitTime, TaskGroups: map[string]*deploymentState{},
	}
}

// countHealth counts the placed allocations of the deployment. The argument contains the allocations of all versions
// of the job. If no allocation of this deployment was described and it was successful, all count as placed and healthy.
func (d *deployment) countHealth(j *job, allocations []*allocation, index uint64) {
	d.ModifyIndex, d.ModifyTime = index, j.SubmitTime
	for _, g := range j.Groups {
		d.TaskGroups[g.Name] = &deploymentState{DesiredTotal: g.Count, ProgressDeadline: jobspec.DefaultProgressDeadline}
	}
	placed := false
	for _, a := range allocations {
		s := d.TaskGroups[a.TaskGroup]
		if s == nil || a.DeploymentID != d.ID {
			continue
		}
		placed = true
		s.PlacedAllocs++
		s.RequireProgressBy = stamp(time.Unix(0, a.CreateTime).Add(jobspec.DefaultProgressDeadline))
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
			s.RequireProgressBy = stamp(time.Unix(0, d.CreateTime).Add(jobspec.DefaultProgressDeadline))
		}
	}
}

func (st *state) deploymentByID(id string) *deployment {
	i := slices.IndexFunc(st.deployments, func(d *deployment) bool { return d.ID == id })
	if i < 0 {
		return nil
	}
	return st.deployments[i]
}

// lookupDeployment returns a deployment by its full ID, or nil if there is none.
func (st *state) lookupDeployment(id string) (*deployment, error) {
	if _, err := uuidDigits(id, true); err != nil {
		return nil, fmt.Errorf("deployment lookup failed: index error: %w", err)
	}
	return st.deploymentByID(id), nil
}

// copy returns a copy that may be changed until it is stored.
func (d *deployment) copy() *deployment {
	e := *d
	e.TaskGroups = map[string]*deploymentState{}
	for name, s := range d.TaskGroups {
		t := *s
		t.PlacedCanaries = slices.Clone(s.PlacedCanaries)
		e.TaskGroups[name] = &t
	}
	return &e
}

// updateDescription sets the description of a running deployment, with the promotion that it waits for.
func (d *deployment) updateDescription() {
	if d.Status != "running" {
		return
	}
	d.StatusDescription = deploymentDescriptions["running"]
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

// countDeployment counts the allocations of a deployment. newer are allocations that are not stored yet.
func (st *state) countDeployment(d *deployment, newer []*allocation) {
	all := map[string]*allocation{}
	if j := st.job(d.Namespace, d.JobID); j != nil {
		for _, a := range j.allocations {
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
				s.RequireProgressBy = stamp(t.Add(s.ProgressDeadline))
			}
		}
	}
}

// storeDeployment stores a new or changed deployment, also in the job version that it belongs to.
func (st *state) storeDeployment(d *deployment, index uint64) {
	d.ModifyIndex, d.ModifyTime = index, time.Now().UnixNano()
	st.deployments = put(st.deployments, d, byCreation)
	before := st.job(d.Namespace, d.JobID)
	if before == nil || before.CreateIndex != d.JobCreateIndex {
		return
	}
	j := *before
	if j.Version == d.JobVersion {
		j.deployment = d
		if d.Status == "successful" && !j.knownStable {
			j.knownStable, j.ModifyIndex = true, index
		}
	}
	j.earlierVersions = slices.Clone(j.earlierVersions)
	for i, v := range j.earlierVersions {
		if v.Version == d.JobVersion {
			w := *v
			w.deployment = d
			j.earlierVersions[i] = &w
		}
	}
	st.storeJob(&j, index)
}
