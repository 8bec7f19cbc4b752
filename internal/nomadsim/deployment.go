package nomadsim

import (
	"strconv"
	"time"
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

const progressDeadline = 10 * time.Minute

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
func (j *job) describeDeployment(d Deployment, created uint64) {
	if d.Status == "" {
		return
	}
	if d.Description == "" {
		d.Description = deploymentDescriptions[d.Status]
	}
	j.deployment = &deployment{
		ID:        uuid("deployment", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10)),
		Namespace: j.Namespace, JobID: j.ID, JobVersion: j.Version,
		JobModifyIndex: j.JobModifyIndex, JobSpecModifyIndex: j.JobModifyIndex, JobCreateIndex: j.CreateIndex,
		Status: d.Status, StatusDescription: d.Description, EvalPriority: j.Priority, CreateIndex: created,
		CreateTime: j.SubmitTime, TaskGroups: map[string]*deploymentState{},
	}
}

// countHealth counts the placed allocations of the deployment. The argument contains the allocations of all versions
// of the job. If the deployment was successful and none of its allocations is described, it counts DesiredTotal
// allocations as placed and healthy.
func (d *deployment) countHealth(j *job, allocations []*allocation, index uint64) {
	d.ModifyIndex, d.ModifyTime = index, j.SubmitTime
	for _, g := range j.groups {
		d.TaskGroups[g.Name] = &deploymentState{DesiredTotal: g.Count, ProgressDeadline: progressDeadline}
	}
	placed := false
	for _, a := range allocations {
		s := d.TaskGroups[a.TaskGroup]
		if s == nil || a.DeploymentID != d.ID {
			continue
		}
		placed = true
		s.PlacedAllocs++
		s.RequireProgressBy = stamp(time.Unix(0, a.CreateTime).Add(progressDeadline))
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
			s.RequireProgressBy = stamp(time.Unix(0, d.CreateTime).Add(progressDeadline))
		}
	}
}
