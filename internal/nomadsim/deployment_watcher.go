package nomadsim

import (
	"fmt"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// This file simulates Nomad's deployment watcher: it completes, promotes and fails deployments according to the
// health of their allocations.

// markHealthy marks a running allocation as healthy, unless its health is already set.
func (sc *scheduler) markHealthy(st *state, id string) {
	a := st.allocationByID(id)
	if a == nil || a.terminal() || st.agentDown(a) || a.ClientStatus != "running" ||
		a.DeploymentID == "" && a.Job.Type != "service" || a.hasHealth() {
		return
	}
	sc.setAllocHealth(st, a, true)
}

// setAllocHealth stores the health of an allocation and updates its deployment.
func (sc *scheduler) setAllocHealth(st *state, a *allocation, healthy bool) {
	b := a.copy()
	index := st.nextIndex(tableJobs, tableSummaries, tableAllocations, tableDeployments)
	b.DeploymentStatus = &allocHealth{Canary: a.isCanary(), Healthy: &healthy, ModifyIndex: index}
	if healthy {
		b.DeploymentStatus.Timestamp = stamp(time.Now())
	}
	st.storeAllocations(index, b)
	i := slices.IndexFunc(st.deployments, func(d *deployment) bool { return d.ID == a.DeploymentID })
	if i < 0 {
		return
	}
	d := st.deployments[i].copy()
	st.countDeployment(d, nil)
	st.storeDeployment(d, index)
	if sc.checkDeployment(st, d.ID) {
		sc.evaluate(st, st.job(d.Namespace, d.JobID), "deployment-watcher", st.nextIndex(tableEvaluations), 0)
	}
}

// checkDeployment completes, promotes or fails a running deployment if the health of its allocations requires it. It
// reports whether the deployment continues unchanged.
func (sc *scheduler) checkDeployment(st *state, id string) (unchanged bool) {
	d := st.deploymentByID(id)
	if d == nil || d.Status != "running" {
		return false
	}
	j := st.job(d.Namespace, d.JobID)
	if j == nil || j.deployment == nil || j.deployment.ID != id {
		return false
	}
	complete, promotable, automatic := true, true, false
	for _, s := range d.TaskGroups {
		if s.UnhealthyAllocs > 0 {
			sc.failDeployment(st, d, "Failed due to unhealthy allocations")
			return false
		}
		waits := s.DesiredCanaries > 0 && !s.Promoted
		complete = complete && !waits && s.HealthyAllocs >= max(s.DesiredTotal, s.DesiredCanaries)
		promotable = promotable && (!waits || s.HealthyAllocs >= s.DesiredCanaries)
		automatic = automatic || waits && s.AutoPromote
	}
	switch {
	case complete:
		st.afterStep(func(st *state) { sc.completeDeployment(st, id) })
	case automatic && promotable:
		st.afterStep(func(st *state) { sc.autoPromote(st, id) })
	default:
		return true
	}
	return false
}

// autoPromote promotes a running deployment, unless it is already promoted.
func (sc *scheduler) autoPromote(st *state, id string) {
	d := st.deploymentByID(id)
	if d == nil || d.Status != "running" {
		return
	}
	for _, s := range d.TaskGroups {
		if s.DesiredCanaries > 0 && !s.Promoted {
			sc.promote(st, id, nil)
			return
		}
	}
}

// completeDeployment marks a running deployment as successful.
func (sc *scheduler) completeDeployment(st *state, id string) {
	old := st.deploymentByID(id)
	if old == nil {
		return
	}
	j := st.job(old.Namespace, old.JobID)
	if old.Status != "running" || j == nil || j.deployment == nil || j.deployment.ID != id {
		return
	}
	d := old.copy()
	d.Status, d.StatusDescription = "successful", deploymentDescriptions["successful"]
	st.storeDeployment(d, st.nextIndex(tableJobs, tableDeployments))
}

// failDeployment marks a deployment as failed. If a group has auto_revert, it also reverts the job to its newest
// stable version. It returns the new evaluation and the version.
func (sc *scheduler) failDeployment(st *state, old *deployment, description string) (e *evaluation, reverted *uint64) {
	d := old.copy()
	d.Status, d.StatusDescription = "failed", description
	index := st.nextIndex(tableJobs, tableSummaries, tableDeployments, tableEvaluations)
	j := st.job(d.Namespace, d.JobID)
	revert := false
	for _, s := range d.TaskGroups {
		revert = revert || s.AutoRevert
	}
	if !revert || j == nil {
		st.storeDeployment(d, index)
		return sc.evaluateDeployment(st, d, index), nil
	}
	var stable *job
	for _, v := range j.versions() {
		if v.isStable() && v.Version != d.JobVersion && (stable == nil || v.Version > stable.Version) {
			stable = v
		}
	}
	switch {
	case stable == nil:
		d.StatusDescription += " - no stable job version to auto revert to"
		st.storeDeployment(d, index)
	case j.SameSpec(&stable.Registration):
		d.StatusDescription += fmt.Sprintf(" - not rolling back to stable job version %d as current job has same "+
			"specification", stable.Version)
		st.storeDeployment(d, index)
	default:
		d.StatusDescription += fmt.Sprintf(" - rolling back to job version %d", stable.Version)
		st.storeDeployment(d, index)
		back := *stable
		back.Tag = nil
		st.storeVersion(st.job(d.Namespace, d.JobID), &back, index)
		reverted = &stable.Version
	}
	return sc.evaluateDeployment(st, d, index), reverted
}

func (sc *scheduler) evaluateDeployment(st *state, d *deployment, index uint64) *evaluation {
	j := st.job(d.Namespace, d.JobID)
	if j == nil {
		j = &job{Registration: jobspec.Registration{
			Namespace: d.Namespace, ID: d.JobID, Type: "service", Priority: d.EvalPriority,
		}}
	}
	e := j.newPendingEvaluation("deployment-watcher", index, 0)
	e.DeploymentID = d.ID
	sc.enqueue(st, e)
	return e
}

// promote promotes the healthy canaries of these groups, or of all groups for nil.
func (sc *scheduler) promote(st *state, id string, groups []string) *evaluation {
	old := st.deploymentByID(id)
	if old == nil || !old.active() {
		return nil
	}
	index := st.nextIndex(tableJobs, tableSummaries, tableAllocations, tableDeployments, tableEvaluations)
	d := old.copy()
	var promoted []*allocation
	for name, s := range d.TaskGroups {
		if groups != nil && !slices.Contains(groups, name) {
			continue
		}
		s.Promoted = true
		if s.RequireProgressBy != nil {
			s.RequireProgressBy = stamp(time.Now().Add(s.ProgressDeadline))
		}
		for _, canary := range s.PlacedCanaries {
			if a := st.allocationByID(canary); a != nil && !a.terminal() && a.isHealthy() {
				b := a.copy()
				h := *a.DeploymentStatus
				h.Canary, h.ModifyIndex = false, index
				b.DeploymentStatus = &h
				promoted = append(promoted, b)
			}
		}
	}
	d.updateDescription()
	st.storeDeployment(d, index)
	st.storeAllocations(index, promoted...)
	return sc.evaluateDeployment(st, d, index)
}
