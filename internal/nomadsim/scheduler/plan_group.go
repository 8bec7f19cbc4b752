package scheduler

import (
	"cmp"
	"slices"

	"nomadctld/internal/nomadsim/jobspec"
	"nomadctld/internal/nomadsim/store"
)

// planGroup plans one group of a service or batch job. all are its allocations, including terminal ones.
//
// It first sorts the allocations: current ones belong to the planned version, old ones to an earlier version, and done
// ones are not running but count towards g.Count. Lost, unknown and failed allocations are replaced. Then it stops the
// surplus. Then it adds missing allocations or canaries and replaces old allocations, as far as the deployment permits.
func (p *plan) planGroup(g jobspec.Group, all []*store.Allocation) {
	d := p.deployment()
	var current, old, done []*store.Allocation
	replaced, used := 0, map[int]bool{}
	for _, a := range all {
		switch {
		case a.Job.CreateIndex != p.job.CreateIndex && !a.Terminal(): // belongs to a purged job with the same ID
			p.stop(a, descNotNeeded)
		case a.ReplaceNow && a.DesiredStatus == "run" && a.ClientStatus == "unknown":
			p.replaceUnknown(g, a)
			replaced++
			used[a.Index()] = true
		case a.ClientStatus == "unknown" && a.NextAllocation != "" && a.DesiredStatus == "run": // its replacement counts
		case a.ReplaceNow && a.DesiredStatus == "run", mustRescheduleNow(a, d):
			p.reschedule(g, a)
			replaced++
			used[a.Index()] = true
		case a.DesiredStatus == "run" && a.ClientStatus == "complete" && p.job.Type == "batch" &&
			a.Job.Version == p.job.Version,
			a.DesiredStatus == "run" && a.ClientStatus == "failed" && a.NextAllocation == "" && a.Job.Version == p.job.Version:
			done = append(done, a) // complete, waiting to be rescheduled, or failed for good
		case a.Terminal():
		case a.IsCanary() && (d == nil || a.DeploymentID != d.ID || d.Status == "failed"):
			p.stop(a, descNotNeeded)
		case a.DesiredTransition.Migrate != nil && *a.DesiredTransition.Migrate:
			p.migrate(g, a)
			current = append(current, a)
		case a.Job.Version == p.job.Version:
			current = append(current, a)
		case p.job.CanUpdateInPlace(&a.Job.Registration, g):
			current = append(current, p.updateInPlace(g, a))
		default:
			old = append(old, a)
		}
	}
	byIndex := func(a, b *store.Allocation) int { return cmp.Compare(a.Index(), b.Index()) }
	slices.SortFunc(current, byIndex)
	slices.SortFunc(old, byIndex)
	canaries := slices.DeleteFunc(slices.Clone(current), func(a *store.Allocation) bool { return !a.IsCanary() })
	state, wantCanaries := p.groupState(g), 0
	if u := p.job.UpdateStrategy(g); u != nil && u.Canary > 0 && (len(old) > 0 || len(canaries) > 0) &&
		(state == nil || !state.Promoted) {
		wantCanaries = u.Canary
	}
	missing := g.Count - replaced - len(current) - len(old) - len(done) + len(canaries)*min(wantCanaries, 1)
	if (missing > 0 || len(old) > 0 || len(canaries) > 0) && p.job.UpdateStrategy(g) != nil {
		p.ensureDeployment()
		state = p.groupState(g)
	}
	d = p.deployment()
	if d != nil && d.Active() && state != nil && wantCanaries > 0 {
		state.DesiredCanaries = wantCanaries
	}
	missing = p.replaceLost(g, missing, wantCanaries > 0, used)
	paused := d != nil && (d.Status == "paused" || d.Status == "failed")
	for ; missing < 0; missing++ {
		old, current = p.stopSurplus(old, current, wantCanaries > 0)
	}
	if paused {
		return
	}
	if wantCanaries > 0 {
		for i := len(canaries); i < wantCanaries; i++ {
			index := g.Count + i
			if i < len(old) {
				index = old[i].Index()
			}
			if a := p.addToDeployment(p.job, g, index, nil); a != nil {
				a.DeploymentStatus = &store.AllocHealth{Canary: true}
			}
		}
		return
	}
	for _, a := range slices.Concat(current, old, done) {
		used[a.Index()] = true
	}
	for index := 0; missing > 0; index++ {
		if !used[index] {
			p.addToDeployment(p.job, g, index, nil)
			missing--
		}
	}
	for _, a := range old[:min(p.updateBudget(g, current), len(old))] {
		if a := p.addToDeployment(p.job, g, a.Index(), p.stop(a, jobspec.DescUpdating)); a == nil {
			break
		}
	}
}

// updateBudget returns the number of allocations that may be replaced now.
func (p *plan) updateBudget(g jobspec.Group, current []*store.Allocation) int {
	u, d := p.job.UpdateStrategy(g), p.deployment()
	if u == nil || d == nil {
		return g.Count + len(current) + 1
	}
	n := cmp.Or(u.MaxParallel, 1)
	for _, a := range slices.Concat(current, p.placements) {
		if a.TaskGroup == g.Name && a.DeploymentID == d.ID && !a.IsHealthy() {
			n--
		}
	}
	return max(n, 0)
}

// stopSurplus stops one surplus allocation, the first of these that exists: an old allocation whose name a current one
// also has, the last old one, the current one with the highest index.
func (p *plan) stopSurplus(old, current []*store.Allocation, keepCanaries bool) (oldLeft,
	currentLeft []*store.Allocation,
) {
	for i, a := range old {
		if slices.ContainsFunc(current, func(b *store.Allocation) bool { return a.Name == b.Name }) && !keepCanaries {
			p.stop(a, descNotNeeded)
			return slices.Delete(slices.Clone(old), i, i+1), current
		}
	}
	if len(old) > 0 {
		p.stop(old[len(old)-1], descNotNeeded)
		return old[:len(old)-1], current
	}
	for i := len(current) - 1; i >= 0; i-- {
		if a := current[i]; !p.isStopping(a) && !(keepCanaries && a.IsCanary()) {
			p.discardChange(a)
			p.stop(a, descNotNeeded)
			return old, slices.Delete(slices.Clone(current), i, i+1)
		}
	}
	return old, current
}

// isStopping reports whether the plan already stops an allocation.
func (p *plan) isStopping(a *store.Allocation) bool {
	return slices.ContainsFunc(p.changed,
		func(b *store.Allocation) bool { return a.ID == b.ID && b.DesiredStatus != "run" })
}

// discardChange removes the change of an allocation from the plan.
func (p *plan) discardChange(a *store.Allocation) {
	p.changed = slices.DeleteFunc(p.changed, func(b *store.Allocation) bool { return a.ID == b.ID })
}

// updateInPlace moves an allocation to the new job version. Its tasks are the same in both versions.
func (p *plan) updateInPlace(g jobspec.Group, a *store.Allocation) *store.Allocation {
	b := a.Copy()
	b.Job, b.Group, b.EvalID, b.FollowupEvalID, b.Scheduled = p.job, g, p.eval.ID, "", true
	if p.job.UpdateStrategy(g) != nil {
		p.ensureDeployment()
		if d := p.deployment(); d.Active() {
			b.DeploymentID, b.DeploymentStatus = d.ID, nil
		}
	}
	p.changed = append(p.changed, b)
	p.annotate(g.Name, "InPlaceUpdate")
	return b
}

// migrate replaces an allocation that was stopped by a request. Before a deployment is promoted, the replacement has
// the same version.
func (p *plan) migrate(g jobspec.Group, a *store.Allocation) {
	version := p.job
	if s := p.groupState(g); s != nil && s.DesiredCanaries > 0 && !s.Promoted {
		version = a.Job
	}
	p.annotate(g.Name, "Migrate")
	p.addToDeployment(version, g, a.Index(), p.stop(a, descMigrating))
}

// reschedule replaces a failed allocation now: its delay has passed, or a request skips it.
func (p *plan) reschedule(g jobspec.Group, a *store.Allocation) {
	s := p.stop(a, "")
	next := p.addToDeployment(p.job, g, a.Index(), s)
	if next == nil {
		p.discardChange(s)
		return
	}
	next.RescheduleTracker = a.NextTracker(next)
}

// addToDeployment adds an allocation to the plan. If the deployment is active, the allocation belongs to it.
func (p *plan) addToDeployment(version *store.Job, g jobspec.Group, index int,
	previous *store.Allocation,
) *store.Allocation {
	a := p.addAllocation(version, g, index, previous)
	if d := p.deployment(); a != nil && version == p.job && d != nil && d.Active() && p.job.UpdateStrategy(g) != nil {
		a.DeploymentID = d.ID
	}
	return a
}

// planSystemGroup plans a group of a system job: one allocation on each feasible node.
func (p *plan) planSystemGroup(g jobspec.Group, all []*store.Allocation) {
	nodes, reasons := p.sc.feasibleNodes(p.st, p.job, g)
	if len(nodes) == 0 && g.Count > 0 && reasons.NodesEvaluated > 0 {
		// For system jobs, Nomad reports neither the available nodes nor the pool.
		reasons.NodesAvailable, reasons.NodesInPool, reasons.NodePool, reasons.ClassFiltered = nil, 0, "", map[string]int{}
		p.failed[g.Name] = reasons
	}
	covered, previous := map[string]bool{}, map[string]*store.Allocation{}
	for _, a := range all {
		if old := previous[a.NodeID]; a.Terminal() && a.NextAllocation == "" &&
			(old == nil || old.CreateIndex < a.CreateIndex) {
			previous[a.NodeID] = a
		}
	}
	for _, a := range all {
		complete := p.job.Type == "sysbatch" && a.ClientStatus == "complete" && a.DesiredStatus == "run" &&
			a.Job.Version == p.job.Version
		switch {
		case complete:
			covered[a.NodeID] = true
		case a.Terminal():
		case g.Count == 0:
			p.stop(a, descNotNeeded)
		case a.DesiredTransition.Migrate != nil && *a.DesiredTransition.Migrate:
			p.stop(a, descTainted)
			covered[a.NodeID] = true // until the next evaluation
		case a.Job.Version == p.job.Version:
			covered[a.NodeID] = true
		case p.job.CanUpdateInPlace(&a.Job.Registration, g):
			p.updateInPlace(g, a)
			covered[a.NodeID] = true
		default:
			p.stop(a, jobspec.DescUpdating)
		}
	}
	for _, n := range nodes {
		if !covered[n.ID] && g.Count > 0 {
			p.addAllocationOn(n, p.job, g, 0, p.changedCopy(previous[n.ID]))
		}
	}
}

// changedCopy returns a copy of an allocation that the plan stores, or nil for nil.
func (p *plan) changedCopy(a *store.Allocation) *store.Allocation {
	if a == nil || slices.Contains(p.changed, a) {
		return a
	}
	b := a.Copy()
	p.changed = append(p.changed, b)
	return b
}

// mustRescheduleNow reports whether a failed allocation must be rescheduled immediately. For an allocation of an active
// deployment it is false, unless DesiredTransition.Reschedule is set.
func mustRescheduleNow(a *store.Allocation, d *store.Deployment) bool {
	t := a.DesiredTransition
	if t.ForceReschedule == nil || !*t.ForceReschedule || a.ClientStatus != "failed" || a.DesiredStatus != "run" {
		return false
	}
	return d == nil || a.DeploymentID != d.ID || !d.Active() || t.Reschedule != nil && *t.Reschedule
}
