package scheduler

import (
	"fmt"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// This file simulates Nomad's deployment watcher: it completes, promotes and fails deployments according to the
// health of their allocations.

// MarkHealthy marks a running allocation as healthy, unless its health is already set.
func (sc *Scheduler) MarkHealthy(st *store.State, id string) {
	a := st.AllocationByID(id)
	if a == nil || a.Terminal() || st.AgentDown(a) || a.ClientStatus != "running" ||
		a.DeploymentID == "" && a.Job.Type != "service" || a.HasHealth() {
		return
	}
	sc.setAllocHealth(st, a, true)
}

// setAllocHealth stores the health of an allocation and updates its deployment.
func (sc *Scheduler) setAllocHealth(st *store.State, a *store.Allocation, healthy bool) {
	b := a.Copy()
	index := st.NextIndex(store.TableJobs, store.TableSummaries, store.TableAllocations, store.TableDeployments)
	b.DeploymentStatus = &store.AllocHealth{Canary: a.IsCanary(), Healthy: &healthy, ModifyIndex: index}
	if healthy {
		b.DeploymentStatus.Timestamp = store.Stamp(time.Now())
	}
	st.StoreAllocations(index, b)
	i := slices.IndexFunc(st.Deployments, func(d *store.Deployment) bool { return d.ID == a.DeploymentID })
	if i < 0 {
		return
	}
	d := st.Deployments[i].Copy()
	st.CountDeployment(d, nil)
	st.StoreDeployment(d, index)
	if sc.checkDeployment(st, d.ID) {
		sc.Evaluate(st, st.Job(d.Namespace, d.JobID), "deployment-watcher", st.NextIndex(store.TableEvaluations), 0)
	}
}

// checkDeployment completes, promotes or fails a running deployment if the health of its allocations requires it. It
// reports whether the deployment continues unchanged.
func (sc *Scheduler) checkDeployment(st *store.State, id string) (unchanged bool) {
	d := st.DeploymentByID(id)
	if d == nil || d.Status != "running" {
		return false
	}
	j := st.Job(d.Namespace, d.JobID)
	if j == nil || j.Deployment == nil || j.Deployment.ID != id {
		return false
	}
	complete, promotable, automatic := true, true, false
	for _, s := range d.TaskGroups {
		if s.UnhealthyAllocs > 0 {
			sc.FailDeployment(st, d, "Failed due to unhealthy allocations")
			return false
		}
		waits := s.DesiredCanaries > 0 && !s.Promoted
		complete = complete && !waits && s.HealthyAllocs >= max(s.DesiredTotal, s.DesiredCanaries)
		promotable = promotable && (!waits || s.HealthyAllocs >= s.DesiredCanaries)
		automatic = automatic || waits && s.AutoPromote
	}
	switch {
	case complete:
		st.AfterStep(func(st *store.State) { sc.completeDeployment(st, id) })
	case automatic && promotable:
		st.AfterStep(func(st *store.State) { sc.autoPromote(st, id) })
	default:
		return true
	}
	return false
}

// autoPromote promotes a running deployment, unless it is already promoted.
func (sc *Scheduler) autoPromote(st *store.State, id string) {
	d := st.DeploymentByID(id)
	if d == nil || d.Status != "running" {
		return
	}
	for _, s := range d.TaskGroups {
		if s.DesiredCanaries > 0 && !s.Promoted {
			sc.Promote(st, id, nil)
			return
		}
	}
}

// completeDeployment marks a running deployment as successful.
func (sc *Scheduler) completeDeployment(st *store.State, id string) {
	old := st.DeploymentByID(id)
	if old == nil {
		return
	}
	j := st.Job(old.Namespace, old.JobID)
	if old.Status != "running" || j == nil || j.Deployment == nil || j.Deployment.ID != id {
		return
	}
	d := old.Copy()
	d.Status, d.StatusDescription = "successful", store.DeploymentDescriptions["successful"]
	st.StoreDeployment(d, st.NextIndex(store.TableJobs, store.TableDeployments))
}

// FailDeployment marks a deployment as failed. If a group has auto_revert, it also reverts the job to its newest
// stable version. It returns the new evaluation and the version.
func (sc *Scheduler) FailDeployment(st *store.State, old *store.Deployment, description string) (e *store.Evaluation,
	reverted *uint64,
) {
	d := old.Copy()
	d.Status, d.StatusDescription = "failed", description
	index := st.NextIndex(store.TableJobs, store.TableSummaries, store.TableDeployments, store.TableEvaluations)
	j := st.Job(d.Namespace, d.JobID)
	revert := false
	for _, s := range d.TaskGroups {
		revert = revert || s.AutoRevert
	}
	if !revert || j == nil {
		st.StoreDeployment(d, index)
		return sc.evaluateDeployment(st, d, index), nil
	}
	var stable *store.Job
	for _, v := range j.Versions() {
		if v.IsStable() && v.Version != d.JobVersion && (stable == nil || v.Version > stable.Version) {
			stable = v
		}
	}
	switch {
	case stable == nil:
		d.StatusDescription += " - no stable job version to auto revert to"
		st.StoreDeployment(d, index)
	case j.SameSpec(&stable.Registration):
		d.StatusDescription += fmt.Sprintf(" - not rolling back to stable job version %d as current job has same "+
			"specification", stable.Version)
		st.StoreDeployment(d, index)
	default:
		d.StatusDescription += fmt.Sprintf(" - rolling back to job version %d", stable.Version)
		st.StoreDeployment(d, index)
		back := *stable
		back.Tag = nil
		st.StoreVersion(st.Job(d.Namespace, d.JobID), &back, index)
		reverted = &stable.Version
	}
	return sc.evaluateDeployment(st, d, index), reverted
}

// evaluateDeployment creates an evaluation of the job of a changed deployment.
func (sc *Scheduler) evaluateDeployment(st *store.State, d *store.Deployment, index uint64) *store.Evaluation {
	j := st.Job(d.Namespace, d.JobID)
	if j == nil {
		j = &store.Job{Registration: jobspec.Registration{
			Namespace: d.Namespace, ID: d.JobID, Type: "service", Priority: d.EvalPriority,
		}}
	}
	e := j.NewPendingEvaluation("deployment-watcher", index, 0)
	e.DeploymentID = d.ID
	sc.Enqueue(st, e)
	return e
}

// Promote promotes the healthy canaries of these groups, or of all groups for nil.
func (sc *Scheduler) Promote(st *store.State, id string, groups []string) *store.Evaluation {
	old := st.DeploymentByID(id)
	if old == nil || !old.Active() {
		return nil
	}
	index := st.NextIndex(store.TableJobs, store.TableSummaries, store.TableAllocations, store.TableDeployments,
		store.TableEvaluations)
	d := old.Copy()
	var promoted []*store.Allocation
	for name, s := range d.TaskGroups {
		if groups != nil && !slices.Contains(groups, name) {
			continue
		}
		s.Promoted = true
		if s.RequireProgressBy != nil {
			s.RequireProgressBy = store.Stamp(time.Now().Add(s.ProgressDeadline))
		}
		for _, canary := range s.PlacedCanaries {
			if a := st.AllocationByID(canary); a != nil && !a.Terminal() && a.IsHealthy() {
				b := a.Copy()
				h := *a.DeploymentStatus
				h.Canary, h.ModifyIndex = false, index
				b.DeploymentStatus = &h
				promoted = append(promoted, b)
			}
		}
	}
	d.UpdateDescription()
	st.StoreDeployment(d, index)
	st.StoreAllocations(index, promoted...)
	return sc.evaluateDeployment(st, d, index)
}
