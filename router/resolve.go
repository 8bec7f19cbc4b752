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
	jobs, err := req.Cluster.Jobs(ctx, backends.Selection{Tier: req.Tier, Namespace: req.Namespace, Finished: true})
	done()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var down *backends.TierError
	if err != nil && !errors.As(err, &down) {
		return err
	}
	switch found := find(jobs, selector, target); {
	case len(found) == 0:
		return errors.Join(missing(jobs, selector, target), err) // it may be in a tier that did not answer
	case len(found) > 1:
		return ambiguous(selector, found)
	case err != nil && (!found[0].isNamed(selector) || mayHold(req.Cluster.(*scope).owned, err, selector)):
		return errors.Join(fmt.Errorf("%s fits %s, and may fit more where there is no answer; write the whole ID, or --tier", selector, found[0]), err)
	default:
		req.choose(found[0])
		return nil
	}
}

// choose puts what was found on the request and on its event.
func (req *Request) choose(c candidate) {
	req.Job, req.Allocation, req.Task = c.Job, c.Allocation, c.Task
	e := &req.Event
	e.Tier, e.Namespace, e.Job = req.Job.Tier, req.Job.Namespace, req.Job.ID
	if req.Allocation != nil {
		e.Allocation = req.Allocation.ID
	}
	if req.Task != nil {
		e.Task = req.Task.Name
	}
}

// candidate is something that a selector may mean: a job, or a task of one of its allocations.
type candidate struct {
	Job        backends.Job
	Allocation *backends.Allocation
	Task       *backends.Task
}

func (c candidate) String() string {
	if c.Task == nil {
		return fmt.Sprintf("%s in namespace %s of tier %s", c.Job.ID, c.Job.Namespace, c.Job.Tier)
	}
	return fmt.Sprintf("%s %s/%s on %s, %s, in namespace %s of tier %s",
		c.Task.ExecID, c.Allocation.Name, c.Task.Name, c.Allocation.Node, c.Allocation.Status, c.Job.Namespace, c.Job.Tier)
}

// isNamed reports whether the selector is a whole name of the candidate, and no beginning of an ID.
func (c candidate) isNamed(selector string) bool {
	return strings.HasPrefix(selector, c.Job.ID) || selector == c.Allocation.ID || selector == c.Task.ExecID
}

// find returns what selector means. The exact ID of a job comes first, because a job's ID may look like anything else.
func find(jobs []backends.Job, selector string, target Target) (found []candidate) {
	named := slices.DeleteFunc(slices.Clone(jobs), func(j backends.Job) bool { return j.ID != selector })
	if target != TargetTask {
		for _, job := range named {
			found = append(found, candidate{Job: job})
		}
		if len(found) > 0 || target == TargetJob {
			return found
		}
	}
	if len(named) > 0 {
		return running(named, func(backends.Allocation, backends.Task) bool { return true })
	}
	if found = running(jobs, func(a backends.Allocation, t backends.Task) bool {
		return selector == a.JobID+"/"+a.Group || selector == a.JobID+"/"+a.Group+"/"+t.Name
	}); len(found) > 0 {
		return found
	}
	return byID(jobs, selector)
}

// missing returns the error for a selector that means nothing.
func missing(jobs []backends.Job, selector string, target Target) error {
	if target != TargetTask {
		return noJob(selector, jobs)
	}
	if slices.ContainsFunc(jobs, func(j backends.Job) bool { return j.ID == selector }) {
		return fmt.Errorf("no task of %s is running (see: ps --all %s)", selector, selector)
	}
	return fmt.Errorf("no task %s (see: ps)", selector)
}

// mayHold reports whether one of the tiers that failed with err could hold a job that the selector begins with.
func mayHold(owned acl.Scope, err error, selector string) bool {
	var tier *backends.TierError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return mayHold(owned, err, selector) })
	}
	return errors.As(err, &tier) && slices.ContainsFunc(owned.Prefixes(tier.Tier), func(p string) bool { return strings.HasPrefix(selector, p) })
}

// running returns the running tasks that fit.
func running(jobs []backends.Job, fits func(backends.Allocation, backends.Task) bool) (found []candidate) {
	for _, job := range jobs {
		for i := range job.Allocations {
			a := &job.Allocations[i]
			for j := range a.Tasks {
				if a.Tasks[j].State == "running" && fits(*a, a.Tasks[j]) {
					found = append(found, candidate{job, a, &a.Tasks[j]})
				}
			}
		}
	}
	return found
}

// shortest is how many characters of an ID are enough to look for it.
const shortest = 4

// byID returns the tasks whose exec ID, or whose allocation's ID, is or begins with id.
func byID(jobs []backends.Job, id string) (found []candidate) {
	if len(id) < shortest {
		return nil
	}
	id = strings.ToLower(id)
	for _, job := range jobs {
		for i := range job.Allocations {
			a := &job.Allocations[i]
			for j := range a.Tasks {
				task := &a.Tasks[j]
				if task.ExecID == id {
					return []candidate{{job, a, task}}
				}
				if strings.HasPrefix(task.ExecID, id) || strings.HasPrefix(a.ID, id) {
					found = append(found, candidate{job, a, task})
				}
			}
		}
	}
	return found
}

func noJob(name string, jobs []backends.Job) error {
	var ids []string
	for _, job := range jobs {
		ids = append(ids, job.ID)
	}
	return fmt.Errorf("no job %s%s (see: ps --all)", name, didYouMean(name, ids))
}

// mostListed is how many candidates an error lists.
const mostListed = 10

// ambiguous returns an error with a line for each candidate.
func ambiguous(selector string, found []candidate) error {
	hint := "name one"
	first := found[0].Job
	if found[0].Task == nil || slices.ContainsFunc(found, func(c candidate) bool { return c.Job.Tier != first.Tier || c.Job.Namespace != first.Namespace }) {
		hint = "choose with --namespace and --tier"
	}
	errs := []error{fmt.Errorf("%s fits %d; %s:", selector, len(found), hint)}
	for i, c := range found {
		if i == mostListed {
			errs = append(errs, fmt.Errorf("  and %d more", len(found)-i))
			break
		}
		errs = append(errs, errors.New("  "+c.String()))
	}
	return errors.Join(errs...)
}
