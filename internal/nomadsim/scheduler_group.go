package nomadsim

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// index returns the index in the allocation's name.
func (a *allocation) index() int {
	n, _ := strconv.Atoi(strings.TrimSuffix(a.Name[strings.LastIndex(a.Name, "[")+1:], "]"))
	return n
}

func (a *allocation) isCanary() bool { return a.DeploymentStatus != nil && a.DeploymentStatus.Canary }

func (a *allocation) isHealthy() bool {
	return a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil && *a.DeploymentStatus.Healthy
}

// planGroup plans one group of a service or batch job. all are its allocations, including terminal ones.
//
// It first sorts the allocations: current ones belong to the planned version, old ones to an earlier version, and done
// ones are not running but count towards g.Count. Lost, unknown and failed allocations are replaced. Then it stops the
// surplus. Then it adds missing allocations or canaries and replaces old allocations, as far as the deployment permits.
func (p *plan) planGroup(g Group, all []*allocation) {
	d := p.deployment()
	var current, old, done []*allocation
	replaced, used := 0, map[int]bool{}
	for _, a := range all {
		switch {
		case a.Job.CreateIndex != p.job.CreateIndex && !a.terminal(): // belongs to a purged job with the same ID
			p.stop(a, descNotNeeded)
		case a.replaceNow && a.DesiredStatus == "run" && a.ClientStatus == "unknown":
			p.replaceUnknown(g, a)
			replaced++
			used[a.index()] = true
		case a.ClientStatus == "unknown" && a.NextAllocation != "" && a.DesiredStatus == "run": // its replacement counts
		case a.replaceNow && a.DesiredStatus == "run", a.mustRescheduleNow(d):
			p.reschedule(g, a)
			replaced++
			used[a.index()] = true
		case a.DesiredStatus == "run" && a.ClientStatus == "complete" && p.job.Type == "batch" &&
			a.Job.Version == p.job.Version,
			a.DesiredStatus == "run" && a.ClientStatus == "failed" && a.NextAllocation == "" && a.Job.Version == p.job.Version:
			done = append(done, a) // complete, waiting to be rescheduled, or failed for good
		case a.terminal():
		case a.isCanary() && (d == nil || a.DeploymentID != d.ID || d.Status == "failed"):
			p.stop(a, descNotNeeded)
		case a.DesiredTransition.Migrate != nil && *a.DesiredTransition.Migrate:
			p.migrate(g, a)
			current = append(current, a)
		case a.Job.Version == p.job.Version:
			current = append(current, a)
		case p.job.canUpdateInPlace(a.Job, g):
			current = append(current, p.updateInPlace(g, a))
		default:
			old = append(old, a)
		}
	}
	byIndex := func(a, b *allocation) int { return cmp.Compare(a.index(), b.index()) }
	slices.SortFunc(current, byIndex)
	slices.SortFunc(old, byIndex)
	canaries := slices.DeleteFunc(slices.Clone(current), func(a *allocation) bool { return !a.isCanary() })
	state, wantCanaries := p.groupState(g), 0
	if u := p.job.updateStrategy(g); u != nil && u.Canary > 0 && (len(old) > 0 || len(canaries) > 0) &&
		(state == nil || !state.Promoted) {
		wantCanaries = u.Canary
	}
	missing := g.Count - replaced - len(current) - len(old) - len(done) + len(canaries)*min(wantCanaries, 1)
	if (missing > 0 || len(old) > 0 || len(canaries) > 0) && p.job.updateStrategy(g) != nil {
		p.ensureDeployment()
		state = p.groupState(g)
	}
	d = p.deployment()
	if d != nil && d.active() && state != nil && wantCanaries > 0 {
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
				index = old[i].index()
			}
			if a := p.addToDeployment(p.job, g, index, nil); a != nil {
				a.DeploymentStatus = &allocHealth{Canary: true}
			}
		}
		return
	}
	for _, a := range slices.Concat(current, old, done) {
		used[a.index()] = true
	}
	for index := 0; missing > 0; index++ {
		if !used[index] {
			p.addToDeployment(p.job, g, index, nil)
			missing--
		}
	}
	for _, a := range old[:min(p.updateBudget(g, current), len(old))] {
		if a := p.addToDeployment(p.job, g, a.index(), p.stop(a, descUpdating)); a == nil {
			break
		}
	}
}

// updateBudget returns the number of allocations that may be replaced now.
func (p *plan) updateBudget(g Group, current []*allocation) int {
	u, d := p.job.updateStrategy(g), p.deployment()
	if u == nil || d == nil {
		return g.Count + len(current) + 1
	}
	n := cmp.Or(u.MaxParallel, 1)
	for _, a := range slices.Concat(current, p.placements) {
		if a.TaskGroup == g.Name && a.DeploymentID == d.ID && !a.isHealthy() {
			n--
		}
	}
	return max(n, 0)
}

// stopSurplus stops one surplus allocation. It prefers an old allocation with a name that a current one has, then the
// last old one, or without old ones the current one with the highest index.
func (p *plan) stopSurplus(old, current []*allocation, keepCanaries bool) (oldLeft, currentLeft []*allocation) {
	for i, a := range old {
		if slices.ContainsFunc(current, func(b *allocation) bool { return a.Name == b.Name }) && !keepCanaries {
			p.stop(a, descNotNeeded)
			return slices.Delete(slices.Clone(old), i, i+1), current
		}
	}
	if len(old) > 0 {
		p.stop(old[len(old)-1], descNotNeeded)
		return old[:len(old)-1], current
	}
	for i := len(current) - 1; i >= 0; i-- {
		if a := current[i]; !p.isStopping(a) && !(keepCanaries && a.isCanary()) {
			p.discardChange(a)
			p.stop(a, descNotNeeded)
			return old, slices.Delete(slices.Clone(current), i, i+1)
		}
	}
	return old, current
}

// isStopping reports whether the plan already stops an allocation.
func (p *plan) isStopping(a *allocation) bool {
	return slices.ContainsFunc(p.changed, func(b *allocation) bool { return a.ID == b.ID && b.DesiredStatus != "run" })
}

// discardChange removes the change of an allocation from the plan.
func (p *plan) discardChange(a *allocation) {
	p.changed = slices.DeleteFunc(p.changed, func(b *allocation) bool { return a.ID == b.ID })
}

// updateInPlace moves an allocation to the new job version. Its tasks are the same in both versions.
func (p *plan) updateInPlace(g Group, a *allocation) *allocation {
	b := a.copy()
	b.Job, b.group, b.EvalID, b.FollowupEvalID, b.scheduled = p.job, g, p.eval.ID, "", true
	if p.job.updateStrategy(g) != nil {
		p.ensureDeployment()
		if d := p.deployment(); d.active() {
			b.DeploymentID, b.DeploymentStatus = d.ID, nil
		}
	}
	p.changed = append(p.changed, b)
	p.annotate(g.Name, "InPlaceUpdate")
	return b
}

// migrate replaces an allocation that was stopped by a request. Before a deployment is promoted, the replacement has
// the same version.
func (p *plan) migrate(g Group, a *allocation) {
	version := p.job
	if s := p.groupState(g); s != nil && s.DesiredCanaries > 0 && !s.Promoted {
		version = a.Job
	}
	p.annotate(g.Name, "Migrate")
	p.addToDeployment(version, g, a.index(), p.stop(a, descMigrating))
}

// reschedule replaces a failed allocation now: its delay has passed, or a request skips it.
func (p *plan) reschedule(g Group, a *allocation) {
	s := p.stop(a, "")
	next := p.addToDeployment(p.job, g, a.index(), s)
	if next == nil {
		p.discardChange(s)
		return
	}
	next.RescheduleTracker = a.nextTracker(next)
}

// nextTracker returns the reschedule tracker of an allocation's replacement.
func (a *allocation) nextTracker(next *allocation) *rescheduleTracker {
	t := &rescheduleTracker{LastReschedule: "ok"}
	if a.RescheduleTracker != nil {
		t.Events = append(t.Events, a.RescheduleTracker.Events...)
	}
	t.Events = append(t.Events, rescheduleEvent{
		RescheduleTime: next.CreateTime, PrevAllocID: a.ID, PrevNodeID: a.NodeID,
		Delay: a.group.delay(a.Job.Type, len(t.Events)),
	})
	return t
}

// addToDeployment adds an allocation to the plan. If the deployment is active, the allocation belongs to it.
func (p *plan) addToDeployment(version *job, g Group, index int, previous *allocation) *allocation {
	a := p.addAllocation(version, g, index, previous)
	if d := p.deployment(); a != nil && version == p.job && d != nil && d.active() && p.job.updateStrategy(g) != nil {
		a.DeploymentID = d.ID
	}
	return a
}

// planSystemGroup plans a group of a system job: one allocation on each feasible node.
func (p *plan) planSystemGroup(g Group, all []*allocation) {
	nodes, reasons := p.cluster.feasibleNodes(p.job, g)
	if len(nodes) == 0 && g.Count > 0 && reasons.NodesEvaluated > 0 {
		// For system jobs, Nomad reports neither the available nodes nor the pool.
		reasons.NodesAvailable, reasons.NodesInPool, reasons.NodePool, reasons.ClassFiltered = nil, 0, "", map[string]int{}
		p.failed[g.Name] = reasons
	}
	covered, previous := map[string]bool{}, map[string]*allocation{}
	for _, a := range all {
		if old := previous[a.NodeID]; a.terminal() && a.NextAllocation == "" &&
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
		case a.terminal():
		case g.Count == 0:
			p.stop(a, descNotNeeded)
		case a.DesiredTransition.Migrate != nil && *a.DesiredTransition.Migrate:
			p.stop(a, descTainted)
			covered[a.NodeID] = true // until the next evaluation
		case a.Job.Version == p.job.Version:
			covered[a.NodeID] = true
		case p.job.canUpdateInPlace(a.Job, g):
			p.updateInPlace(g, a)
			covered[a.NodeID] = true
		default:
			p.stop(a, descUpdating)
		}
	}
	for _, n := range nodes {
		if !covered[n.ID] && g.Count > 0 {
			p.addAllocationOn(n, p.job, g, 0, p.changedCopy(previous[n.ID]))
		}
	}
}

// changedCopy returns a copy of an allocation that the plan stores, or nil for nil.
func (p *plan) changedCopy(a *allocation) *allocation {
	if a == nil || slices.Contains(p.changed, a) {
		return a
	}
	b := a.copy()
	p.changed = append(p.changed, b)
	return b
}

// canUpdateInPlace reports whether the group's allocations of another version can continue unchanged.
func (j *job) canUpdateInPlace(other *job, g Group) bool {
	if j == other {
		return true
	}
	return reflect.DeepEqual(j.destructiveSpec(g.Name), other.destructiveSpec(g.Name))
}

// destructiveSpec returns the part of a group that cannot be changed in place.
func (j *job) destructiveSpec(group string) any {
	spec := j.normalizedSpec()
	groups, _ := spec["TaskGroups"].([]any)
	for _, g := range groups {
		g := g.(object)
		if g["Name"] != group {
			continue
		}
		for _, k := range []string{
			"Count", "Update", "RestartPolicy", "ReschedulePolicy", "Services", "Constraints", "Migrate", "Scaling",
		} {
			delete(g, k)
		}
		tasks, _ := g["Tasks"].([]any)
		for _, t := range tasks {
			for _, k := range []string{"RestartPolicy", "Services", "Constraints", "KillTimeout", "LogConfig", "Identity"} {
				delete(t.(object), k)
			}
		}
		return []any{g, spec["Meta"]}
	}
	return nil
}

// updateStrategy returns the update block of a group, or nil if the job has no deployments.
func (j *job) updateStrategy(g Group) *Update {
	if j.Type != "service" {
		return nil
	}
	return cmp.Or(g.Update, &Update{})
}
