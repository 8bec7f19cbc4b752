package nomadsim

import (
	"cmp"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plan contains the changes that processing an evaluation makes, at one index.
type plan struct {
	cluster       *Cluster
	eval          *evaluation
	job           *job // nil: purged
	index         uint64
	changed       []*allocation // copies
	placements    []*allocation
	newDeployment *deployment // new, or a changed copy
	annotations   map[string]object
	failed        map[string]metrics // placement failures, by group
	queued        map[string]int
	lost          map[string][]*allocation // copies of lost allocations to replace, by group

	followups []*evaluation // delayed evaluations
}

// processEvaluation moves the allocations of a job closer to its desired state. It stops unwanted allocations,
// creates missing ones, and replaces those of earlier versions as fast as the deployment permits. c.mu is held.
func (c *Cluster) processEvaluation(e *evaluation) {
	p := &plan{
		cluster: c, eval: e, job: c.job(e.Namespace, e.JobID), annotations: map[string]object{}, failed: map[string]metrics{},
		queued: map[string]int{}, lost: map[string][]*allocation{},
	}
	allocations, _ := c.recordsOf(p.job, e)
	p.index = c.nextIndex(tableJobs, tableSummaries, tableAllocations, tableEvaluations, tableDeployments)
	allocations = p.applyNodeStatus(allocations)
	groups := map[string]bool{}
	if p.job != nil && !p.job.Stop {
		p.cancelSuperseded()
		for _, g := range p.job.groups {
			groups[g.Name] = true
			inGroup := slices.DeleteFunc(slices.Clone(allocations), func(a *allocation) bool { return a.TaskGroup != g.Name })
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
		if !groups[a.TaskGroup] && !a.terminal() {
			p.stop(a, descNotNeeded)
		}
	}
	p.apply()
	c.afterStep(func() { c.completeEvaluation(p) })
}

// recordsOf returns the allocations and evaluations of a job, or those that a purged job left.
func (c *Cluster) recordsOf(j *job, e *evaluation) ([]*allocation, []*evaluation) {
	if j != nil {
		return j.allocations, j.evaluations
	}
	return c.orphans(e.Namespace, e.JobID)
}

// Nomad's descriptions of stopped allocations.
const (
	descNotNeeded = "alloc not needed due to job update"
	descMigrating = "alloc is being migrated"
	// Nomad also uses descTainted when a request stops an allocation of a system job.
	descTainted = "alloc not needed as node is tainted"
)

func (p *plan) stop(a *allocation, description string) *allocation {
	s := a.copy()
	s.DesiredStatus, s.DesiredDescription = "stop", description
	p.changed = append(p.changed, s)
	p.annotate(a.TaskGroup, "Stop")
	return s
}

func (p *plan) annotate(group, update string) {
	if p.annotations[group] == nil {
		p.annotations[group] = desiredUpdates(0)
	}
	p.annotations[group][update] = p.annotations[group][update].(int) + 1
}

// addAllocation adds an allocation to the plan, with this index in its name. previous is the allocation that it
// replaces, or nil. It returns nil if no node is feasible.
func (p *plan) addAllocation(version *job, g Group, index int, previous *allocation) *allocation {
	g = version.groupNamed(g)
	nodes, reasons := p.cluster.feasibleNodes(version, g)
	if len(nodes) == 0 {
		p.queued[g.Name]++
		p.failed[g.Name] = reasons
		return nil
	}
	return p.addAllocationOn(nodes[index%len(nodes)], version, g, index, previous)
}

func (p *plan) addAllocationOn(n *node, version *job, g Group, index int, previous *allocation) *allocation {
	now := time.Now().UnixNano()
	a := &allocation{
		ID: uuid("allocation", version.Namespace, version.ID, g.Name, strconv.Itoa(index), strconv.FormatUint(p.index, 10),
			strconv.Itoa(len(p.placements))),
		Namespace: version.Namespace, EvalID: p.eval.ID, Name: fmt.Sprintf("%s.%s[%d]", version.ID, g.Name, index),
		NodeID:   n.ID,
		NodeName: n.Name, JobID: version.ID, TaskGroup: g.Name, ClientStatus: "pending", DesiredStatus: "run",
		CreateIndex: p.index, CreateTime: now, Job: version, group: g, node: n, scheduled: true,
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
	c := p.cluster
	p.updateDeployment()
	if p.newDeployment != nil && reflect.DeepEqual(p.newDeployment, c.deploymentByID(p.newDeployment.ID)) {
		p.newDeployment = nil
	}
	if p.newDeployment != nil {
		c.storeDeployment(p.newDeployment, p.index)
	}
	for _, e := range p.followups {
		c.storeEvaluation(e)
	}
	for _, a := range p.changed {
		a.planIndex = p.index
	}
	c.storeAllocations(p.index, append(p.changed, p.placements...)...)
	for _, a := range p.changed {
		if c.agentDown(a) {
			continue
		}
		if a.DesiredStatus != "run" {
			c.afterStep(func() { c.finishStop(a.ID) }, c.killTasks(a.ID, "")...)
		} else if a.DeploymentStatus == nil && a.DeploymentID != "" {
			c.afterStep(func() { c.markHealthy(a.ID) })
		}
	}
	for _, a := range p.placements {
		c.afterStep(func() { c.startAllocation(a.ID) })
	}
	if j := c.job(p.eval.Namespace, p.eval.JobID); j != nil {
		k := *j
		k.summary = k.countAllocations(p.index)
		for name, tally := range k.summary.Summary {
			tally.Queued = p.queued[name]
		}
		c.storeJob(&k, p.index)
	}
	// Check the deployment even if the plan did not change it: after a promotion, all allocations may already exist.
	if p.job != nil {
		if d := p.deployment(); d != nil {
			c.checkDeployment(d.ID)
		}
	}
}

// completeEvaluation stores the result of an evaluation, and a blocked evaluation if placements failed.
func (c *Cluster) completeEvaluation(p *plan) {
	e := *p.eval
	e.Status, e.ModifyTime = "complete", time.Now().UnixNano()
	e.ModifyIndex = c.nextIndex(tableEvaluations, tableJobs)
	e.SnapshotIndex, e.QueuedAllocations = max(p.index-1, e.CreateIndex), map[string]int{}
	if p.job != nil {
		for _, g := range p.job.groups {
			e.QueuedAllocations[g.Name] = p.queued[g.Name]
			if p.annotations[g.Name] == nil {
				p.annotations[g.Name] = desiredUpdates(0)
			}
		}
		if d := p.job.deployment; d != nil {
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
	c.cancelBlocked(e.Namespace, e.JobID, e.ModifyIndex)
	if len(p.failed) > 0 {
		blocked := *p.eval
		blocked.ID, blocked.Status, blocked.TriggeredBy = uuid("blocked", e.ID), "blocked", "queued-allocs"
		blocked.StatusDescription, blocked.PreviousEval = "created to place remaining allocations", e.ID
		blocked.FailedTGAllocs, blocked.JobModifyIndex = p.failed, 0
		blocked.NodeID, blocked.NodeModifyIndex = "", 0
		blocked.ClassEligibility, blocked.EscapedComputedClass = classEligibility(p.failed)
		blocked.CreateIndex, blocked.ModifyIndex = e.ModifyIndex, e.ModifyIndex
		e.FailedTGAllocs = p.failed
		if len(p.queued) > 0 {
			e.BlockedEval = blocked.ID
			c.storeEvaluation(&blocked)
		}
	}
	c.storeEvaluation(&e)
}

// classEligibility returns whether each node class is eligible for a blocked evaluation. A constraint on a unique
// attribute escapes the classes.
func classEligibility(failed map[string]metrics) (classes map[string]bool, escaped bool) {
	for _, m := range failed {
		for constraint := range m.ConstraintFiltered {
			escaped = escaped || strings.Contains(constraint, "unique.")
		}
		if m.NodesEvaluated > 0 && !escaped {
			classes = map[string]bool{computedClass: len(m.ConstraintFiltered) == 0}
		}
	}
	if escaped {
		return nil, true
	}
	return classes, false
}

// cancelBlocked cancels the blocked evaluations of a job in favor of a newer evaluation.
func (c *Cluster) cancelBlocked(namespace, id string, index uint64) {
	j := c.job(namespace, id)
	if j == nil {
		return
	}
	for _, old := range j.evaluations {
		if old.Status == "blocked" {
			e := *old
			e.Status, e.ModifyIndex = "canceled", index
			e.StatusDescription = "cancelled due to a newer evaluation" // Nomad adds the ID of the newer one
			c.storeEvaluation(&e)
		}
	}
}

// isEligible reports whether the scheduler considers a node for a job at all.
func (n *node) isEligible(j *job) bool {
	in := func(pattern string) bool {
		fits, err := path.Match(pattern, n.Datacenter)
		return fits && err == nil
	}
	return n.Status == "ready" && n.SchedulingEligibility == "eligible" && slices.ContainsFunc(j.Datacenters, in) &&
		(j.NodePool == "all" || cmp.Or(j.NodePool, "default") == n.NodePool)
}

// feasibleNodes returns the nodes on which a group fits, and the reasons if there are none. A cluster without nodes
// gets one.
func (c *Cluster) feasibleNodes(j *job, g Group) (fit []*node, reasons metrics) {
	if len(c.nodes) == 0 {
		c.nodeFor("", 0)
	}
	var memory, cpu int
	rules := slices.Concat(j.constraints, g.Constraints)
	for _, t := range g.Tasks {
		memory, cpu, rules = memory+t.Memory, cpu+t.CPU, slices.Concat(rules, t.Constraints)
	}
	u := Unplaced{ConstraintFiltered: map[string]int{}, DimensionExhausted: map[string]int{}}
	exhausted, evaluated := map[string]object{}, []*node{}
	for _, n := range c.nodes {
		if !n.isEligible(j) {
			continue
		}
		evaluated = append(evaluated, n)
		unmet := slices.IndexFunc(rules, func(r Constraint) bool { return !n.meetsConstraint(r) })
		switch {
		case unmet >= 0:
			r := rules[unmet]
			u.ConstraintFiltered[r.Left+" "+r.Operator+" "+r.Right]++
		case memory > nodeMemory:
			u.DimensionExhausted["memory"]++
			for _, t := range g.Tasks {
				exhausted[t.Name] = resources(0, t.Memory, 0, 0)
			}
		case cpu > nodeCores*nodeMHz:
			u.DimensionExhausted["cpu"]++
			for _, t := range g.Tasks {
				exhausted[t.Name] = resources(t.CPU, 0, 0, 0)
			}
		default:
			fit = append(fit, n)
		}
	}
	reasons = u.metrics(evaluated)
	reasons.NodePool = cmp.Or(j.NodePool, "default")
	if len(exhausted) > 0 {
		reasons.ResourcesExhausted = exhausted
	}
	return fit, reasons
}

// meetsConstraint reports whether a node meets a constraint. Only equality of attributes, metadata and node names is
// simulated. All other constraints are met.
func (n *node) meetsConstraint(r Constraint) bool {
	name := strings.TrimSuffix(strings.TrimPrefix(r.Left, "${"), "}")
	value, known := n.attributes()[strings.TrimPrefix(name, "attr.")]
	for key, v := range map[string]string{
		"node.unique.name": n.Name, "node.datacenter": n.Datacenter, "node.class": n.NodeClass, "node.unique.id": n.ID,
	} {
		if name == key {
			value, known = v, true
		}
	}
	if meta, is := strings.CutPrefix(name, "meta."); is {
		value, known = n.spec.Meta[meta], true
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
