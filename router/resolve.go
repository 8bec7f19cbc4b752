package router

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/escape"
)

// resolve finds the target that the first argument selects among the user's jobs, and sets it on the request. It
// always searches the same listing, so that a job that is not owned and a job that does not exist get the same
// response after the same work.
func resolve(ctx context.Context, req *Request, target TargetKind) error {
	selector, selection := req.Args[0], req.Selection
	selection.IncludeHidden = true
	done := req.Console.ShowActivity("searching for " + escape.Text(selector))
	jobs, err := req.Access.Cluster.Jobs(ctx, selection)
	done()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var down *backends.TierError
	if err != nil && !errors.As(err, &down) {
		return err
	}
	if req.Command.Spec().FindsSaved {
		jobs = append(jobs, req.Access.Operations.savedJobs(jobs, req.Selection)...)
	}
	owned := req.Access.Cluster.(*scopedCluster).owned
	unavailable := err // of unreachable tiers, which may contain matches; nil if only namespaces cannot be read
	if err != nil && onlyNamespaceErrors(err) {
		unavailable = nil
	}
	found := findMatches(jobs, selector, target)
	if req.Any && sameTask(found) {
		found = found[:1]
	}
	switch {
	case len(found) == 0 && unavailable != nil && mayContain(owned, unavailable, selector):
		return err // whether it exists is unknown
	case len(found) == 0:
		missing, isOwned := notFoundError(jobs, selector, target)
		// Not a refusal if a tier that does not respond may have this ID.
		if !isOwned && (unavailable == nil || !idPattern.MatchString(selector)) {
			req.Deny(missing)
		}
		return errors.Join(missing, err) // it may exist where the query failed
	case len(found) > 1:
		return ambiguousError(req, selector, found)
	case unavailable != nil && (!found[0].matchesExactly(selector) || mayContain(owned, unavailable, selector)):
		return errors.Join(fmt.Errorf("%s matches %s, but part of the search failed and there may be more matches; "+
			"use the full ID or --tier", selector, found[0]), err)
	default:
		req.setTarget(found[0])
		return nil
	}
}

// setTarget sets the target on the request and on its event.
func (r *Request) setTarget(t Target) {
	r.Target = t
	e := &r.Event
	e.Tier, e.Namespace, e.Job = t.Job.Tier, t.Job.Namespace, t.Job.ID
	if t.Allocation != nil {
		e.Allocation = t.Allocation.ID
	}
	e.Group, e.Task = t.Part.Group, t.Part.Task
	if t.Task != nil {
		e.Task = t.Task.Name
	}
}

// findMatches returns the targets that the selector matches. An exact job ID takes precedence, because a job ID can
// look like any other selector.
func findMatches(jobs []backends.Job, selector string, target TargetKind) (found []Target) {
	named := slices.DeleteFunc(slices.Clone(jobs), func(j backends.Job) bool { return j.ID != selector })
	if target != TargetTask {
		for _, job := range named {
			found = append(found, Target{Job: job})
		}
		if len(found) > 0 || target == TargetJob {
			return found
		}
	}
	if target == TargetPart {
		if found = matchInstance(jobs, selector); len(found) > 0 {
			return found
		}
		if found = matchParts(jobs, selector); len(found) > 0 {
			return found
		}
		return collapseAllocation(matchID(jobs, selector), selector)
	}
	if len(named) > 0 {
		return bestRanked(named, func(backends.Allocation, backends.Task) bool { return true })
	}
	matches := func(a backends.Allocation, t backends.Task) bool {
		group := a.JobID + "/" + a.Group
		return selector == group || selector == group+"/"+t.Name || namesInstance(selector, a, t)
	}
	found = bestRanked(jobs, matches)
	if len(found) == 0 && target == TargetJobOrTask {
		found = latestAllocations(jobs, matches)
	}
	if len(found) > 0 {
		return found
	}
	found = matchID(jobs, selector)
	if target != TargetTask || len(found) < 2 {
		return found
	}
	// Programs run only in running tasks, so tasks of the allocation that have exited do not make it ambiguous.
	running := slices.DeleteFunc(slices.Clone(found), func(t Target) bool { return !t.Allocation.MayRun(*t.Task) })
	if len(running) > 0 {
		return running
	}
	return found
}

// namesInstance reports whether the selector is the name of the allocation, JOB.GROUP[INDEX] or JOB/GROUP[INDEX], or
// such a name followed by a slash and the name of the task.
func namesInstance(selector string, a backends.Allocation, t backends.Task) bool {
	rest, ok := strings.CutPrefix(selector, a.JobID)
	if !ok || rest == "" || rest[0] != '.' && rest[0] != '/' {
		return false
	}
	name := strings.TrimPrefix(a.Name, a.JobID+".")
	return rest[1:] == name || rest[1:] == name+"/"+t.Name
}

// matchInstance returns the allocation that the selector names, or a task in it: the one that is running or, if none
// is, the newest one. Allocations of a system job all have the same name, so there may be several.
func matchInstance(jobs []backends.Job, selector string) []Target {
	matches := func(a backends.Allocation, t backends.Task) bool { return namesInstance(selector, a, t) }
	found := bestRanked(jobs, matches)
	if len(found) == 0 {
		found = latestAllocations(jobs, matches)
	}
	var all []Target
	for _, t := range found {
		if strings.HasSuffix(selector, "]/"+t.Task.Name) {
			all = append(all, t)
			continue
		}
		if len(all) == 0 || all[len(all)-1].Allocation != t.Allocation {
			all = append(all, Target{Job: t.Job, Allocation: t.Allocation})
		}
	}
	return all
}

// matchParts returns the jobs that a selector JOB/GROUP or JOB/GROUP/TASK names. A job ID may contain slashes, so the
// longest matching ID wins.
func matchParts(jobs []backends.Job, selector string) (found []Target) {
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
			found = append(found, Target{Job: job, Part: Part{group, task}})
		}
	}
	return found
}

// collapseAllocation returns a single candidate without a task if all tasks were found by the ID of the same
// allocation.
func collapseAllocation(found []Target, id string) []Target {
	if len(found) == 0 || !strings.HasPrefix(found[0].Allocation.ID, strings.ToLower(id)) ||
		slices.ContainsFunc(found, func(t Target) bool { return t.Allocation.ID != found[0].Allocation.ID }) {
		return found
	}
	return []Target{{Job: found[0].Job, Allocation: found[0].Allocation}}
}

// notFoundError returns the error for a selector without matches. isOwned reports whether the selector names one of
// the user's jobs, or a part of it.
func notFoundError(jobs []backends.Job, selector string, target TargetKind) (err error, isOwned bool) {
	for _, j := range jobs {
		switch part := strings.HasPrefix(selector, j.ID+"/"); {
		case target == TargetTask && j.ID == selector, target == TargetTask && hasGroupOrTask(j, selector):
			return notRunningError(j, selector), true
		case target == TargetJobOrTask && part:
			return fmt.Errorf("%s has no group or task %s (see: ps --all %s)", j.ID, selector[len(j.ID)+1:], j.ID), true
		}
	}
	if target != TargetTask {
		return noJobError(selector, jobs), false
	}
	return noTaskError(selector, jobs), false
}

// mayContain reports whether one of the tiers that failed with err may contain the selected job: the selector starts
// with one of the user's prefixes in that tier.
func mayContain(owned acl.Scope, err error, selector string) bool {
	var tier *backends.TierError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return mayContain(owned, err, selector) })
	}
	return errors.As(err, &tier) && hasAnyPrefix(selector, owned.Prefixes(tier.Tier)...)
}

// hasAnyPrefix reports whether s starts with one of the prefixes.
func hasAnyPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// bestRanked returns the selected tasks of the best rank: running tasks; if there are none, tasks that are stopping;
// if there are none, tasks that may still be running on a disconnected node.
func bestRanked(jobs []backends.Job, selected func(backends.Allocation, backends.Task) bool) (found []Target) {
	bestRank := 0
	for _, job := range jobs {
		for i := range job.Allocations {
			a := &job.Allocations[i]
			for j := range a.Tasks {
				rank, matches := a.Rank(a.Tasks[j])
				if !matches || len(found) > 0 && rank > bestRank || !selected(*a, a.Tasks[j]) {
					continue
				}
				if rank < bestRank || len(found) == 0 {
					found, bestRank = nil, rank
				}
				found = append(found, Target{Job: job, Allocation: a, Task: &a.Tasks[j]})
			}
		}
	}
	return found
}

// latestAllocations returns the matching tasks in the newest allocation of each name.
func latestAllocations(jobs []backends.Job, matches func(backends.Allocation, backends.Task) bool) (found []Target) {
	for _, job := range jobs {
		for i := range job.Allocations { // the newest first within each name
			a := &job.Allocations[i]
			if slices.ContainsFunc(job.Allocations[:i], a.SameInstance) {
				continue
			}
			for j := range a.Tasks {
				if matches(*a, a.Tasks[j]) {
					found = append(found, Target{Job: job, Allocation: a, Task: &a.Tasks[j]})
				}
			}
		}
	}
	return found
}

// hasGroupOrTask reports whether an allocation of the job has the selected group or task, or the selected name.
func hasGroupOrTask(job backends.Job, selector string) bool {
	return slices.ContainsFunc(job.Allocations, func(a backends.Allocation) bool {
		group := a.JobID + "/" + a.Group
		return selector == group || slices.ContainsFunc(a.Tasks, func(t backends.Task) bool {
			return selector == group+"/"+t.Name || namesInstance(selector, a, t)
		})
	})
}

// minIDPrefix is the minimum length of an ID prefix in a selector.
const minIDPrefix = 4

// matchID returns the tasks whose exec ID or allocation ID starts with id. A full ID matches in any state. A prefix
// matches terminal allocations only if no other allocation matches.
func matchID(jobs []backends.Job, id string) (found []Target) {
	if len(id) < minIDPrefix {
		return nil
	}
	id = strings.ToLower(id)
	var terminal []Target
	for _, job := range jobs {
		for i := range job.Allocations {
			a := &job.Allocations[i]
			for j := range a.Tasks {
				task := &a.Tasks[j]
				c := Target{Job: job, Allocation: a, Task: task}
				switch {
				case task.ExecID == id:
					return []Target{c}
				case !strings.HasPrefix(task.ExecID, id) && !strings.HasPrefix(a.ID, id):
				case a.ID != id && a.TerminalStatus():
					terminal = append(terminal, c)
				default:
					found = append(found, c)
				}
			}
		}
	}
	if len(found) == 0 {
		return terminal
	}
	return found
}

// idPattern matches exec IDs, allocation IDs and their prefixes.
var idPattern = regexp.MustCompile(`^[0-9a-fA-F][0-9a-fA-F-]{3,35}$`)

var shortIDPattern = regexp.MustCompile(`^[0-9a-fA-F]{1,3}$`) // shorter than minIDPrefix

// shortIDHint returns a hint for a selector that is too short for an ID.
func shortIDHint(selector string) string {
	if !shortIDPattern.MatchString(selector) {
		return ""
	}
	return fmt.Sprintf("; an ID needs at least %d digits", minIDPrefix)
}

// maxListed limits the candidates that an error lists.
const maxListed = 10

// ambiguousError returns an error with a line for each candidate.
func ambiguousError(req *Request, selector string, found []Target) error {
	hint := "name one of them"
	first := found[0].Job
	elsewhere := func(t Target) bool { return t.Job.Tier != first.Tier || t.Job.Namespace != first.Namespace }
	if found[0].Allocation == nil || slices.ContainsFunc(found, elsewhere) {
		hint = "choose with --namespace and --tier"
	} else if spec := req.Command.Spec(); spec.PicksInstance && sameTask(found) {
		hint = fmt.Sprintf("name one of them, or use %s --any %s", spec.Name, selector)
	} else if req.Any {
		hint = "they are different tasks, so --any cannot pick one; name JOB/GROUP/TASK"
	}
	errs := []error{fmt.Errorf("%s is ambiguous (%d matches); %s:", selector, len(found), hint)}
	for i, c := range found {
		if i == maxListed {
			errs = append(errs, fmt.Errorf("  and %d more", len(found)-i))
			break
		}
		errs = append(errs, errors.New("  "+c.String()))
	}
	return errors.Join(errs...)
}
