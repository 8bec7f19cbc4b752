package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// This file contains the changes that requests ask for.

// Submit stores j as the next version of the job before, and evaluates it. If j is the same as before, Submit stores
// nothing and evaluates the existing job. before is nil if the job does not exist yet. Submit returns the index of the
// change, the evaluation (nil for a parent) and the stored job.
func (sc *Scheduler) Submit(st *store.State, before, j *store.Job) (uint64, *store.Evaluation, *store.Job) {
	if before != nil && before.Stop == j.Stop && before.SameRegistration(&j.Registration) {
		if before.IsParent() {
			return before.ModifyIndex, nil, before
		}
		index := st.NextIndex(store.TableEvaluations)
		return index, sc.Evaluate(st, before, "job-register", index, 0), before
	}
	index := st.NextIndex(store.TableJobs, store.TableSummaries, store.TableEvaluations)
	if j = st.StoreVersion(before, j, index); j.IsParent() {
		return index, nil, j
	}
	return index, sc.Evaluate(st, j, "job-register", index, index), j
}

// Reevaluate creates an evaluation of a job. If force is set, failed allocations are rescheduled immediately, even
// without remaining attempts, if the policy of their group permits rescheduling at all.
func (sc *Scheduler) Reevaluate(st *store.State, j *store.Job, force bool) *store.Evaluation {
	index := st.NextIndex(store.TableEvaluations, store.TableAllocations)
	var forced []*store.Allocation
	for _, a := range j.Allocations {
		if !force || a.ClientStatus != "failed" || a.NextAllocation != "" || a.Job.CreateIndex != j.CreateIndex {
			continue
		}
		if j.HasGroup(a.TaskGroup) && j.GroupNamed(a.Group).PermitsRescheduling(j.Type) {
			b := a.Copy()
			b.DesiredTransition.ForceReschedule = new(true)
			forced = append(forced, b)
		}
	}
	st.StoreAllocations(index, forced...)
	j = st.Job(j.Namespace, j.ID)
	return sc.Evaluate(st, j, "job-register", index, j.ModifyIndex)
}

// Dispatch describes a child of a parameterized job. Without Payload or Meta, the child has those of the parent.
type Dispatch struct {
	Prefix   string // of the part of the child's ID after "dispatch-"
	Payload  []byte
	Meta     map[string]string
	Priority int
	Token    string // for idempotency
}

// Dispatch registers a child of a parameterized job. Unlike Nomad, it stores the payload uncompressed, which is not
// visible to clients.
func (sc *Scheduler) Dispatch(st *store.State, parent *store.Job, d Dispatch) (*store.Job, *store.Evaluation) {
	index := st.NextIndex(store.TableJobs, store.TableSummaries, store.TableEvaluations)
	if d.Prefix != "" {
		d.Prefix += "-"
	}
	child := parent.Child(fmt.Sprintf("%s/dispatch-%s%d-%s", parent.ID, d.Prefix, time.Now().Unix(),
		jobspec.UUID("dispatch", parent.ID, fmt.Sprint(index))[:8]))
	child.Dispatched, child.Priority, child.Idempotency = true, d.Priority, d.Token
	if len(d.Payload) > 0 {
		child.Payload = d.Payload
	}
	if len(d.Meta) > 0 {
		meta := map[string]string{}
		maps.Copy(meta, child.Meta)
		maps.Copy(meta, d.Meta)
		child.Meta = meta
	}
	child = st.StoreVersion(nil, child, index)
	return child, sc.Evaluate(st, child, "job-register", index, index)
}

// ForcePeriodic runs a periodic job now, regardless of its schedule and its children.
func (sc *Scheduler) ForcePeriodic(st *store.State, j *store.Job) *store.Evaluation {
	id := fmt.Sprintf("%s/periodic-%d", j.ID, time.Now().Unix())
	index := st.NextIndex(store.TableJobs, store.TableSummaries, store.TableEvaluations)
	child := st.StoreVersion(st.Job(j.Namespace, id), j.Child(id), index)
	return sc.Evaluate(st, child, "periodic-job", index, index)
}

// CheckPromotion returns an error if canaries of these groups, or of any group for nil, are not healthy.
func CheckPromotion(st *store.State, d *store.Deployment, groups []string) error {
	healthy := map[string]int{}
	for _, a := range st.Allocations {
		if s := d.TaskGroups[a.TaskGroup]; s != nil && slices.Contains(s.PlacedCanaries, a.ID) && !a.Terminal() &&
			a.IsHealthy() {
			healthy[a.TaskGroup]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.TaskGroups)) {
		s := d.TaskGroups[name]
		if (groups == nil || slices.Contains(groups, name)) && healthy[name] < s.DesiredCanaries {
			return jobspec.ErrorList(fmt.Sprintf("Task group %q has %d/%d healthy allocations", name, healthy[name],
				s.DesiredCanaries))
		}
	}
	return nil
}

// Pause pauses or resumes a deployment. It returns the index of the change and, for a resumed deployment, the
// evaluation.
func (sc *Scheduler) Pause(st *store.State, old *store.Deployment, pause bool) (index uint64, e *store.Evaluation) {
	d := old.Copy()
	index = st.NextIndex(store.TableJobs, store.TableDeployments, store.TableEvaluations)
	d.Status = "running"
	if pause {
		d.Status = "paused"
	}
	d.StatusDescription = store.DeploymentDescriptions[d.Status]
	st.StoreDeployment(d, index)
	if !pause {
		e = sc.evaluateDeployment(st, d, index)
		sc.checkDeployment(st, d.ID)
	}
	return index, e
}

// CheckScale returns an error if the group cannot have this count, or cannot be scaled now.
func CheckScale(j *store.Job, g jobspec.Group, count int64, index uint64) error {
	if s := g.Scaling; s != nil {
		if count < int64(s.Min) {
			return jobspec.BadRequest(fmt.Sprintf("group count was less than scaling policy minimum: %d < %d", count, s.Min))
		}
		if count > int64(s.Max) {
			return jobspec.BadRequest(fmt.Sprintf("group count was greater than scaling policy maximum: %d > %d", count, s.Max))
		}
	}
	if all := j.Deployments(); len(all) > 0 && all[0].Active() {
		return jobspec.BadRequest("job scaling blocked due to active deployment")
	}
	if index > 0 {
		return j.CheckModifyIndex(index)
	}
	return nil
}
