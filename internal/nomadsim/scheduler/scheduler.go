// Package scheduler simulates the part of the servers that makes decisions: it processes evaluations into plans,
// watches deployments and nodes, and reschedules failed allocations. Its functions run in transactions of the store. It
// must not run or stop tasks itself; the client agents do that.
package scheduler

import (
	"cmp"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// Scheduler is the part of the servers that plans: it processes evaluations and watches deployments.
type Scheduler struct {
	clients Clients
}

// New returns a scheduler that controls these clients.
func New(c Clients) *Scheduler { return &Scheduler{clients: c} }

// Clients start and stop allocations on behalf of the scheduler.
type Clients interface {
	// Start starts an allocation one step later.
	Start(st *store.State, allocation string)
	// Stop kills the tasks of an allocation whose desired status is stop. One step after they have exited, the client
	// reports the stop.
	Stop(st *store.State, allocation string)
}

// plan contains the changes that processing an evaluation makes, at one index.
type plan struct {
	sc            *Scheduler
	st            *store.State
	eval          *store.Evaluation
	job           *store.Job // nil: purged
	index         uint64
	changed       []*store.Allocation // copies
	placements    []*store.Allocation
	newDeployment *store.Deployment // new, or a changed copy
	annotations   map[string]object
	failed        map[string]store.Metrics // placement failures, by group
	queued        map[string]int
	lost          map[string][]*store.Allocation // copies of lost allocations to replace, by group

	followups []*store.Evaluation // delayed evaluations
}

// processEvaluation moves the allocations of a job closer to its desired state. It stops unwanted allocations,
// creates missing ones, and replaces those of earlier versions as fast as the deployment permits.
func (sc *Scheduler) processEvaluation(st *store.State, e *store.Evaluation) {
	p := &plan{
		sc: sc, st: st, eval: e, job: st.Job(e.Namespace, e.JobID), annotations: map[string]object{},
		failed: map[string]store.Metrics{},
		queued: map[string]int{}, lost: map[string][]*store.Allocation{},
	}
	allocations, _ := st.RecordsOf(p.job, e)
	p.index = st.NextIndex(store.TableJobs, store.TableSummaries, store.TableAllocations, store.TableEvaluations,
		store.TableDeployments)
	allocations = p.applyNodeStatus(allocations)
	groups := map[string]bool{}
	if p.job != nil && !p.job.Stop {
		p.cancelSuperseded()
		for _, g := range p.job.Groups {
			groups[g.Name] = true
			inGroup := slices.DeleteFunc(slices.Clone(allocations),
				func(a *store.Allocation) bool { return a.TaskGroup != g.Name })
			if p.job.Type == "system" || p.job.Type == "sysbatch" {
				p.planSystemGroup(g, inGroup)
			} else {
				p.planGroup(g, inGroup)
			}
		}
	} else {
		p.cancelDeployments("Cancelled because job is stopped", nil)
	}
	for _, a := range allocations {
		if !groups[a.TaskGroup] && !a.Terminal() {
			p.stop(a, descNotNeeded)
		}
	}
	p.apply()
	st.AfterStep(func(st *store.State) { sc.completeEvaluation(st, p) })
}

// Nomad's descriptions of stopped allocations.
const (
	descNotNeeded = "alloc not needed due to job update"
	descMigrating = "alloc is being migrated"
	// Nomad also uses descTainted when a request stops an allocation of a system job.
	descTainted = "alloc not needed as node is tainted"
)

func (p *plan) stop(a *store.Allocation, description string) *store.Allocation {
	s := a.Copy()
	s.DesiredStatus, s.DesiredDescription = "stop", description
	p.changed = append(p.changed, s)
	p.annotate(a.TaskGroup, "Stop")
	return s
}

func (p *plan) annotate(group, update string) {
	if p.annotations[group] == nil {
		p.annotations[group] = store.DesiredUpdates(0)
	}
	p.annotations[group][update] = p.annotations[group][update].(int) + 1
}

// addAllocation adds an allocation to the plan, with this index in its name. previous is the allocation that it
// replaces, or nil. It returns nil if no node is feasible.
func (p *plan) addAllocation(version *store.Job, g jobspec.Group, index int,
	previous *store.Allocation,
) *store.Allocation {
	g = version.GroupNamed(g)
	nodes, reasons := p.sc.feasibleNodes(p.st, version, g)
	if len(nodes) == 0 {
		p.queued[g.Name]++
		p.failed[g.Name] = reasons
		return nil
	}
	return p.addAllocationOn(nodes[index%len(nodes)], version, g, index, previous)
}

func (p *plan) addAllocationOn(n *store.Node, version *store.Job, g jobspec.Group, index int,
	previous *store.Allocation,
) *store.Allocation {
	now := time.Now().UnixNano()
	a := &store.Allocation{
		ID: jobspec.UUID("allocation", version.Namespace, version.ID, g.Name, strconv.Itoa(index),
			strconv.FormatUint(p.index, 10),
			strconv.Itoa(len(p.placements))),
		Namespace: version.Namespace, EvalID: p.eval.ID, Name: fmt.Sprintf("%s.%s[%d]", version.ID, g.Name, index),
		NodeID:   n.ID,
		NodeName: n.Name, JobID: version.ID, TaskGroup: g.Name, ClientStatus: "pending", DesiredStatus: "run",
		CreateIndex: p.index, CreateTime: now, Job: version, Group: g, Node: n, Scheduled: true,
	}
	if previous != nil {
		a.PreviousAllocation, previous.NextAllocation = previous.ID, a.ID
	}
	p.placements = append(p.placements, a)
	p.annotate(g.Name, "Place")
	return a
}

// apply stores the plan and schedules the work of the clients.
func (p *plan) apply() {
	sc, st := p.sc, p.st
	p.updateDeployment()
	if p.newDeployment != nil && reflect.DeepEqual(p.newDeployment, st.DeploymentByID(p.newDeployment.ID)) {
		p.newDeployment = nil
	}
	if p.newDeployment != nil {
		st.StoreDeployment(p.newDeployment, p.index)
	}
	for _, e := range p.followups {
		st.StoreEvaluation(e)
	}
	for _, a := range p.changed {
		a.PlanIndex = p.index
	}
	st.StoreAllocations(p.index, append(p.changed, p.placements...)...)
	for _, a := range p.changed {
		if st.AgentDown(a) {
			continue
		}
		if a.DesiredStatus != "run" {
			sc.clients.Stop(st, a.ID)
		} else if a.DeploymentStatus == nil && a.DeploymentID != "" {
			st.AfterStep(func(st *store.State) { sc.MarkHealthy(st, a.ID) })
		}
	}
	for _, a := range p.placements {
		sc.clients.Start(st, a.ID)
	}
	if j := st.Job(p.eval.Namespace, p.eval.JobID); j != nil {
		k := *j
		k.Summary = k.CountAllocations(p.index)
		for name, tally := range k.Summary.Summary {
			tally.Queued = p.queued[name]
		}
		st.StoreJob(&k, p.index)
	}
	// Check the deployment even if the plan did not change it: after a promotion, all allocations may already exist.
	if p.job != nil {
		if d := p.deployment(); d != nil {
			sc.checkDeployment(st, d.ID)
		}
	}
}

// completeEvaluation stores the result of an evaluation, and a blocked evaluation if placements failed.
func (sc *Scheduler) completeEvaluation(st *store.State, p *plan) {
	e := *p.eval
	e.Status, e.ModifyTime = "complete", time.Now().UnixNano()
	e.ModifyIndex = st.NextIndex(store.TableEvaluations, store.TableJobs)
	e.SnapshotIndex, e.QueuedAllocations = max(p.index-1, e.CreateIndex), map[string]int{}
	if p.job != nil {
		for _, g := range p.job.Groups {
			e.QueuedAllocations[g.Name] = p.queued[g.Name]
			if p.annotations[g.Name] == nil {
				p.annotations[g.Name] = store.DesiredUpdates(0)
			}
		}
		if d := p.job.Deployment; d != nil {
			e.DeploymentID = d.ID
		}
	}
	if p.newDeployment != nil {
		e.DeploymentID = p.newDeployment.ID
	}
	if len(p.followups) > 0 {
		e.NextEval = p.followups[len(p.followups)-1].ID
	}
	e.PlanAnnotations = object{"DesiredTGUpdates": p.annotations, "PreemptedAllocs": nil}
	sc.cancelBlocked(st, e.Namespace, e.JobID, e.ModifyIndex)
	if len(p.failed) > 0 {
		blocked := *p.eval
		blocked.ID, blocked.Status, blocked.TriggeredBy = jobspec.UUID("blocked", e.ID), "blocked", "queued-allocs"
		blocked.StatusDescription, blocked.PreviousEval = "created to place remaining allocations", e.ID
		blocked.FailedTGAllocs, blocked.JobModifyIndex = p.failed, 0
		blocked.NodeID, blocked.NodeModifyIndex = "", 0
		blocked.ClassEligibility, blocked.EscapedComputedClass = classEligibility(p.failed)
		blocked.CreateIndex, blocked.ModifyIndex = e.ModifyIndex, e.ModifyIndex
		e.FailedTGAllocs = p.failed
		if len(p.queued) > 0 {
			e.BlockedEval = blocked.ID
			st.StoreEvaluation(&blocked)
		}
	}
	st.StoreEvaluation(&e)
}

// classEligibility returns whether each node class is eligible for a blocked evaluation. A constraint on a unique
// attribute escapes the classes.
func classEligibility(failed map[string]store.Metrics) (classes map[string]bool, escaped bool) {
	for _, m := range failed {
		for constraint := range m.ConstraintFiltered {
			escaped = escaped || strings.Contains(constraint, "unique.")
		}
		if m.NodesEvaluated > 0 && !escaped {
			classes = map[string]bool{store.ComputedClass: len(m.ConstraintFiltered) == 0}
		}
	}
	if escaped {
		return nil, true
	}
	return classes, false
}

// cancelBlocked cancels the blocked evaluations of a job in favor of a newer evaluation.
func (sc *Scheduler) cancelBlocked(st *store.State, namespace, id string, index uint64) {
	j := st.Job(namespace, id)
	if j == nil {
		return
	}
	for _, old := range j.Evaluations {
		if old.Status == "blocked" {
			e := *old
			e.Status, e.ModifyIndex = "canceled", index
			e.StatusDescription = "cancelled due to a newer evaluation" // Nomad adds the ID of the newer one
			st.StoreEvaluation(&e)
		}
	}
}

// isEligible reports whether the scheduler considers a node for a job at all.
func isEligible(n *store.Node, j *store.Job) bool {
	in := func(pattern string) bool {
		fits, err := path.Match(pattern, n.Datacenter)
		return fits && err == nil
	}
	return n.Status == "ready" && n.SchedulingEligibility == "eligible" && slices.ContainsFunc(j.Datacenters, in) &&
		(j.NodePool == "all" || cmp.Or(j.NodePool, "default") == n.NodePool)
}

// feasibleNodes returns the nodes on which a group fits, and the reasons if there are none. A cluster without nodes
// gets one.
func (sc *Scheduler) feasibleNodes(st *store.State, j *store.Job, g jobspec.Group) (fit []*store.Node,
	reasons store.Metrics,
) {
	if len(st.Nodes) == 0 {
		st.NodeFor("", 0)
	}
	var memory, cpu int
	rules := slices.Concat(j.Constraints, g.Constraints)
	for _, t := range g.Tasks {
		memory, cpu, rules = memory+t.Memory, cpu+t.CPU, slices.Concat(rules, t.Constraints)
	}
	u := jobspec.Unplaced{ConstraintFiltered: map[string]int{}, DimensionExhausted: map[string]int{}}
	exhausted, evaluated := map[string]object{}, []*store.Node{}
	for _, n := range st.Nodes {
		if !isEligible(n, j) {
			continue
		}
		evaluated = append(evaluated, n)
		unmet := slices.IndexFunc(rules, func(r jobspec.Constraint) bool { return !meetsConstraint(n, r) })
		switch {
		case unmet >= 0:
			r := rules[unmet]
			u.ConstraintFiltered[r.Left+" "+r.Operator+" "+r.Right]++
		case memory > store.NodeMemory:
			u.DimensionExhausted["memory"]++
			for _, t := range g.Tasks {
				exhausted[t.Name] = jobspec.Resources(0, t.Memory, 0, 0)
			}
		case cpu > store.NodeCores*store.NodeMHz:
			u.DimensionExhausted["cpu"]++
			for _, t := range g.Tasks {
				exhausted[t.Name] = jobspec.Resources(t.CPU, 0, 0, 0)
			}
		default:
			fit = append(fit, n)
		}
	}
	reasons = store.FailureMetrics(&u, evaluated)
	reasons.NodePool = cmp.Or(j.NodePool, "default")
	if len(exhausted) > 0 {
		reasons.ResourcesExhausted = exhausted
	}
	return fit, reasons
}

// meetsConstraint reports whether a node meets a constraint. Only equality of attributes, metadata and node names is
// simulated. All other constraints are met.
func meetsConstraint(n *store.Node, r jobspec.Constraint) bool {
	name := strings.TrimSuffix(strings.TrimPrefix(r.Left, "${"), "}")
	value, known := n.Attributes()[strings.TrimPrefix(name, "attr.")]
	for key, v := range map[string]string{
		"node.unique.name": n.Name, "node.datacenter": n.Datacenter, "node.class": n.NodeClass, "node.unique.id": n.ID,
	} {
		if name == key {
			value, known = v, true
		}
	}
	if meta, is := strings.CutPrefix(name, "meta."); is {
		value, known = n.Spec.Meta[meta], true
	}
	if !known && !strings.HasPrefix(name, "attr.") {
		return true
	}
	switch cmp.Or(r.Operator, "=") {
	case "=", "==", "is":
		return value == r.Right
	case "!=", "not":
		return value != r.Right
	}
	return true
}

// Evaluate creates and enqueues an evaluation of a job. jobModified 0 is omitted.
func (sc *Scheduler) Evaluate(st *store.State, j *store.Job, trigger string, index,
	jobModified uint64,
) *store.Evaluation {
	e := j.NewPendingEvaluation(trigger, index, jobModified)
	sc.Enqueue(st, e)
	return e
}

// Enqueue stores an evaluation and processes it one step later.
func (sc *Scheduler) Enqueue(st *store.State, e *store.Evaluation) {
	st.StoreEvaluation(e)
	st.AfterStep(func(st *store.State) { sc.processEvaluation(st, e) })
}

// object is a JSON object without a type of its own.
type object = map[string]any
