package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/escape"
)

// resolve finds what the first argument names, among what is the user's, and puts it on the request. Everything is
// looked up in the same listing, so that what is somebody else's and what does not exist give the same answer, after
// the same work.
func resolve(ctx context.Context, req *Request, target Target) error {
	selector := req.Args[0]
	done := req.Progress("looking for " + escape.Text(selector))
	jobs, err := req.Cluster.Jobs(ctx, backends.Selection{Tier: req.Tier, Namespace: req.Namespace, IncludeHidden: true})
	done()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var down *backends.TierError
	if err != nil && !errors.As(err, &down) {
		return err
	}
	if req.Command.Spec().FindsSaved {
		jobs = append(jobs, req.savedJobs(jobs)...)
	}
	silent := err // of tiers, or namespaces, that may hold what fits and cannot be asked
	if err != nil && onlyNamespaceErrors(err) {
		silent = nil
	}
	switch found := findMatches(jobs, selector, target); {
	case len(found) == 0 && silent != nil && mayContain(req.Cluster.(*scopedCluster).owned, silent, selector):
		return err // that it is not there cannot be said
	case len(found) == 0:
		return errors.Join(notFoundError(jobs, selector, target), err) // it may be where there was no answer
	case len(found) > 1:
		return ambiguousError(selector, found)
	case silent != nil && (!found[0].matchesExactly(selector) || mayContain(req.Cluster.(*scopedCluster).owned, silent, selector)):
		return errors.Join(fmt.Errorf("%s fits %s, and may fit more where there is no answer; write the whole ID, or --tier", selector, found[0]), err)
	default:
		req.setTarget(found[0])
		return nil
	}
}

// setTarget puts what was found on the request and on its event.
func (req *Request) setTarget(c candidate) {
	req.Job, req.Part, req.Allocation, req.Task = c.Job, c.Part, c.Allocation, c.Task
	e := &req.Event
	e.Tier, e.Namespace, e.Job = req.Job.Tier, req.Job.Namespace, req.Job.ID
	if req.Allocation != nil {
		e.Allocation = req.Allocation.ID
	}
	e.Group, e.Task = req.Part.Group, req.Part.Task
	if req.Task != nil {
		e.Task = req.Task.Name
	}
}

// candidate is something that a selector may mean: a job, or a task of one of its allocations.
type candidate struct {
	Job        backends.Job
	Part       Part
	Allocation *backends.Allocation
	Task       *backends.Task
}

func (c candidate) String() string {
	if c.Allocation == nil {
		return fmt.Sprintf("%s in namespace %s of tier %s", c.Job.ID, c.Job.Namespace, c.Job.Tier)
	}
	if c.Task == nil {
		return fmt.Sprintf("%s %s on %s, in namespace %s of tier %s", c.Allocation.ID, c.Allocation.Name, c.Allocation.Node, c.Job.Namespace, c.Job.Tier)
	}
	return fmt.Sprintf("%s %s/%s on %s, %s, in namespace %s of tier %s",
		c.Task.ExecID, c.Allocation.Name, c.Task.Name, c.Allocation.Node, c.Allocation.Status, c.Job.Namespace, c.Job.Tier)
}

// matchesExactly reports whether the selector is a whole name of the candidate, and no beginning of an ID.
func (c candidate) matchesExactly(selector string) bool {
	return strings.HasPrefix(selector, c.Job.ID) || c.Allocation != nil && selector == c.Allocation.ID || c.Task != nil && selector == c.Task.ExecID
}

// findMatches returns what selector means. The exact ID of a job comes first, because a job's ID may look like anything else.
func findMatches(jobs []backends.Job, selector string, target Target) (found []candidate) {
	named := slices.DeleteFunc(slices.Clone(jobs), func(j backends.Job) bool { return j.ID != selector })
	if target != TargetTask {
		for _, job := range named {
			found = append(found, candidate{Job: job})
		}
		if len(found) > 0 || target == TargetJob {
			return found
		}
	}
	if target == TargetPart {
		if found = matchParts(jobs, selector); len(found) > 0 {
			return found
		}
		return collapseAllocation(matchID(jobs, selector), selector)
	}
	if len(named) > 0 {
		return bestRanked(named, func(backends.Allocation, backends.Task) bool { return true })
	}
	fits := func(a backends.Allocation, t backends.Task) bool {
		return selector == a.JobID+"/"+a.Group || selector == a.JobID+"/"+a.Group+"/"+t.Name
	}
	found = bestRanked(jobs, fits)
	if len(found) == 0 && target == TargetJobOrTask {
		found = latestAllocations(jobs, fits)
	}
	if len(found) > 0 {
		return found
	}
	found = matchID(jobs, selector)
	if target != TargetTask || len(found) < 2 {
		return found
	}
	// A program can be run only in what runs: of an allocation's tasks, the ones that have ended are not meant.
	running := slices.DeleteFunc(slices.Clone(found), func(c candidate) bool { return !c.Allocation.MayRun(*c.Task) })
	if len(running) > 0 {
		return running
	}
	return found
}

// matchParts returns the jobs of which selector names a part. The job's own ID may hold slashes, so the longest ID is the one
// that is meant.
func matchParts(jobs []backends.Job, selector string) (found []candidate) {
	for _, job := range jobs {
		rest, ok := strings.CutPrefix(selector, job.ID+"/")
		group, task, _ := strings.Cut(rest, "/")
		if !ok || group == "" || strings.Contains(task, "/") {
			continue
		}
		if len(found) > 0 && len(job.ID) > len(found[0].Job.ID) {
			found = nil
		}
		if len(found) == 0 || len(job.ID) == len(found[0].Job.ID) {
			found = append(found, candidate{Job: job, Part: Part{group, task}})
		}
	}
	return found
}

// collapseAllocation returns one candidate without a task for tasks that were found by the ID of their allocation.
func collapseAllocation(found []candidate, id string) []candidate {
	if len(found) == 0 || !strings.HasPrefix(found[0].Allocation.ID, strings.ToLower(id)) ||
		slices.ContainsFunc(found, func(c candidate) bool { return c.Allocation.ID != found[0].Allocation.ID }) {
		return found
	}
	return []candidate{{Job: found[0].Job, Allocation: found[0].Allocation}}
}

// notFoundError returns the error for a selector that means nothing.
func notFoundError(jobs []backends.Job, selector string, target Target) error {
	for _, j := range jobs {
		switch part := strings.HasPrefix(selector, j.ID+"/"); {
		case target == TargetTask && j.ID == selector, target == TargetTask && part && hasGroupOrTask(j, selector):
			return fmt.Errorf("no task of %s is running (see: ps --all %s)", selector, j.ID)
		case target == TargetJobOrTask && part:
			return fmt.Errorf("no task of %s is %s (see: ps --all %s)", j.ID, selector, j.ID)
		}
	}
	if target != TargetTask {
		return noJobError(selector, jobs)
	}
	return fmt.Errorf("no task %s (see: ps)", selector)
}

// mayContain reports whether one of the tiers that failed with err could hold a job that the selector begins with.
func mayContain(owned acl.Scope, err error, selector string) bool {
	var tier *backends.TierError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return mayContain(owned, err, selector) })
	}
	return errors.As(err, &tier) && slices.ContainsFunc(owned.Prefixes(tier.Tier), func(p string) bool { return strings.HasPrefix(selector, p) })
}

// bestRanked returns those of the tasks that fit which a name means: the running ones, or, without any, those that are being
// stopped, or, without any, those that may still be running on a disconnected node.
func bestRanked(jobs []backends.Job, fits func(backends.Allocation, backends.Task) bool) (found []candidate) {
	least := 0
	for _, job := range jobs {
		for i := range job.Allocations {
			a := &job.Allocations[i]
			for j := range a.Tasks {
				rank, named := a.Rank(a.Tasks[j])
				if !named || len(found) > 0 && rank > least || !fits(*a, a.Tasks[j]) {
					continue
				}
				if rank < least || len(found) == 0 {
					found, least = nil, rank
				}
				found = append(found, candidate{Job: job, Allocation: a, Task: &a.Tasks[j]})
			}
		}
	}
	return found
}

// latestAllocations returns the tasks that fit of the newest allocation in each place of a job.
func latestAllocations(jobs []backends.Job, fits func(backends.Allocation, backends.Task) bool) (found []candidate) {
	for _, job := range jobs {
		for i := range job.Allocations { // newest first within each name
			a := &job.Allocations[i]
			if slices.ContainsFunc(job.Allocations[:i], a.SameInstance) {
				continue
			}
			for j := range a.Tasks {
				if fits(*a, a.Tasks[j]) {
					found = append(found, candidate{Job: job, Allocation: a, Task: &a.Tasks[j]})
				}
			}
		}
	}
	return found
}

// hasGroupOrTask reports whether an allocation of the job has the group, or the task of a group, that selector names.
func hasGroupOrTask(job backends.Job, selector string) bool {
	return slices.ContainsFunc(job.Allocations, func(a backends.Allocation) bool {
		return selector == a.JobID+"/"+a.Group || slices.ContainsFunc(a.Tasks, func(t backends.Task) bool { return selector == a.JobID+"/"+a.Group+"/"+t.Name })
	})
}

// minIDPrefix is how many characters of an ID are enough to look for it.
const minIDPrefix = 4

// matchID returns the tasks whose exec ID, or whose allocation's ID, is or begins with id. A whole ID means what has it, in any
// state. The beginning of an ID means terminal allocations only if no other allocation fits.
func matchID(jobs []backends.Job, id string) (found []candidate) {
	if len(id) < minIDPrefix {
		return nil
	}
	id = strings.ToLower(id)
	var ended []candidate
	for _, job := range jobs {
		for i := range job.Allocations {
			a := &job.Allocations[i]
			for j := range a.Tasks {
				task := &a.Tasks[j]
				c := candidate{Job: job, Allocation: a, Task: task}
				switch {
				case task.ExecID == id:
					return []candidate{c}
				case !strings.HasPrefix(task.ExecID, id) && !strings.HasPrefix(a.ID, id):
				case a.ID != id && a.Terminal():
					ended = append(ended, c)
				default:
					found = append(found, c)
				}
			}
		}
	}
	if len(found) == 0 {
		return ended
	}
	return found
}

func noJobError(name string, jobs []backends.Job) error {
	var ids []string
	for _, job := range jobs {
		ids = append(ids, job.ID)
	}
	return fmt.Errorf("no job %s%s (see: ps --all)", name, didYouMean(name, ids))
}

// maxListed is how many candidates an error lists.
const maxListed = 10

// ambiguousError returns an error with a line for each candidate.
func ambiguousError(selector string, found []candidate) error {
	hint := "name one"
	first := found[0].Job
	if found[0].Allocation == nil || slices.ContainsFunc(found, func(c candidate) bool { return c.Job.Tier != first.Tier || c.Job.Namespace != first.Namespace }) {
		hint = "choose with --namespace and --tier"
	}
	errs := []error{fmt.Errorf("%s fits %d; %s:", selector, len(found), hint)}
	for i, c := range found {
		if i == maxListed {
			errs = append(errs, fmt.Errorf("  and %d more", len(found)-i))
			break
		}
		errs = append(errs, errors.New("  "+c.String()))
	}
	return errors.Join(errs...)
}
