package commands

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/render"
	"nomadctld/internal/safego"
	"nomadctld/router"
)

// infoView is what info shows, as text or JSON.
type infoView struct {
	now         time.Time
	job         backends.JobDetail    // with all its allocations
	allocations []backends.Allocation // the selected ones
	isJob       bool                  // a job is shown, not one task
	leftOut     map[string]int        // numbers of other allocations, by status
	children    []backends.Job        // of a periodic or parameterized job, newest first

	details  map[string]backends.AllocationDetail // by allocation ID
	nodes    map[string]backends.NodeState        // by node ID
	usage    map[string]backends.Usage            // by exec ID
	checks   map[string][]backends.Check          // by allocation ID
	excerpts map[string]logExcerpt                // of crashed tasks, by exec ID

	hidden bool // the output contains hidden values; set by text and json
}

// maxFinished is the number of allocations that info shows if none matters any more.
const maxFinished = 10

// selectAllocations selects the allocations of the job that matter now, or the latest ones if all are finished. Failed
// allocations that Nomad has replaced are selected only if withReplaced is set.
func (v *infoView) selectAllocations(withReplaced bool) {
	all := v.job.Allocations
	for _, a := range all {
		if !a.HiddenByDefault() && (withReplaced || !jobstate.Superseded(a)) {
			v.allocations = append(v.allocations, a)
		}
	}
	if len(v.allocations) == 0 {
		for i, a := range all {
			// The allocations of an instance are sorted newest first.
			if len(v.allocations) < maxFinished && !slices.ContainsFunc(all[:i], a.SameInstance) {
				v.allocations = append(v.allocations, a)
			}
		}
	}
	v.leftOut = map[string]int{}
	for _, a := range all {
		v.leftOut[a.Status]++
	}
	for _, a := range v.allocations {
		if v.leftOut[a.Status]--; v.leftOut[a.Status] == 0 {
			delete(v.leftOut, a.Status)
		}
	}
}

// selectTask selects one task. Its allocation may be missing in the job if the job was purged or registered again.
func (v *infoView) selectTask(a backends.Allocation, task backends.Task) {
	for _, known := range v.job.Allocations {
		if known.ID == a.ID {
			a = known
		}
	}
	a.Tasks = slices.DeleteFunc(slices.Clone(a.Tasks), func(t backends.Task) bool { return t.Name != task.Name })
	v.allocations = []backends.Allocation{a}
}

const (
	maxDetails     = 200 // allocations of which info reads the details
	maxDetailReads = 8   // concurrent
)

// read reads what the job does not contain, as far as it arrives within statsTimeout. It returns an error only if ctx
// is done.
func (v *infoView) read(ctx context.Context, req *router.Request, withLogs bool) error {
	readCtx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	cluster := req.Access.Cluster
	var wg sync.WaitGroup
	start := func(f func()) {
		wg.Go(func() { _ = safego.Protect(func() error { f(); return nil }) })
	}
	start(func() { v.checks = cluster.Checks(readCtx, v.allocations) })
	start(func() { v.usage = cluster.Usage(readCtx, v.allocations) })
	start(func() { v.nodes = cluster.NodeStates(readCtx, v.allocations) })
	start(func() {
		v.details = readDetails(readCtx, cluster, v.allocations[:min(maxDetails, len(v.allocations))])
	})
	if withLogs {
		start(func() {
			v.excerpts = readExcerpts(readCtx, v.crashedTasks(), func(t crashedTask) router.LogReader {
				return req.Access.LogOf(t.allocation, t.task.Name)
			})
		})
	}
	if v.isJob && v.job.Children != nil {
		start(func() { v.children = childrenOf(readCtx, cluster, v.job.Job) })
	}
	wg.Wait()
	return ctx.Err()
}

// readDetails returns the details of allocations, by ID. Those that cannot be read are missing.
func readDetails(
	ctx context.Context, cluster backends.Cluster, allocations []backends.Allocation,
) map[string]backends.AllocationDetail {
	all := make([]*backends.AllocationDetail, len(allocations))
	var g errgroup.Group
	g.SetLimit(maxDetailReads)
	for i, a := range allocations {
		g.Go(func() error {
			return safego.Protect(func() error {
				d, err := cluster.Allocation(ctx, a)
				if err == nil {
					all[i] = &d
				}
				return nil
			})
		})
	}
	_ = g.Wait()
	details := map[string]backends.AllocationDetail{}
	for i, d := range all {
		if d != nil {
			details[allocations[i].ID] = *d
		}
	}
	return details
}

// childrenOf returns the child jobs of a job, newest first.
func childrenOf(ctx context.Context, cluster backends.Cluster, parent backends.Job) []backends.Job {
	jobs, _ := cluster.Jobs(ctx, backends.Selection{Tier: parent.Tier, Namespace: parent.Namespace}) // best effort
	children := slices.DeleteFunc(jobs, func(j backends.Job) bool { return j.Parent != parent.ID })
	slices.SortStableFunc(children, func(a, b backends.Job) int { return b.Submitted.Compare(a.Submitted) })
	return children
}

// text returns the text of info.
func (v *infoView) text(style render.Style) string {
	text := render.NewDetails(style)
	if v.isJob {
		v.writeJob(text)
	}
	for _, a := range v.allocations {
		v.writeAllocation(text, a)
		for _, t := range a.Tasks {
			v.writeTask(text, a, t)
		}
	}
	return text.String()
}
