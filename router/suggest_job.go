package router

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/suggest"
)

// noJobError returns the error for a job that does not exist or is not owned.
func noJobError(name string, jobs []backends.Job) error {
	if starting := jobsStartingWith(name, jobs); len(starting) > 0 {
		return listIDs(starting, fmt.Errorf("no job %s, but %s with it (see: ps --all):", name, jobsStart(len(starting))))
	}
	return fmt.Errorf("no job %s%s (see: ps --all)", name, similarHint(name, jobs))
}

// noTaskError is like noJobError, for a command that works on one task.
func noTaskError(name string, jobs []backends.Job) error {
	if starting := jobsStartingWith(name, jobs); len(starting) > 0 {
		return listIDs(starting, fmt.Errorf("no task %s, but %s with it (see: ps):", name, jobsStart(len(starting))))
	}
	return fmt.Errorf("no task %s%s (see: ps)", name, similarHint(name, jobs))
}

// jobsStart returns "the ID of 1 job starts", "the IDs of 2 jobs start".
func jobsStart(n int) string {
	if n == 1 {
		return "the ID of 1 job starts"
	}
	return fmt.Sprintf("the IDs of %d jobs start", n)
}

// listIDs adds a line for each ID to an error.
func listIDs(ids []string, err error) error {
	errs := []error{err}
	for i, id := range ids {
		if i == maxListed {
			errs = append(errs, fmt.Errorf("  and %d more", len(ids)-i))
			break
		}
		errs = append(errs, errors.New("  "+id))
	}
	return errors.Join(errs...)
}

// similarHint returns the part of the error that suggests jobs, groups or tasks that differ from the selector in one or
// two characters, or "". A name with other digits is not suggested, because it is another job, not a typing error.
func similarHint(selector string, jobs []backends.Job) string {
	names := slices.DeleteFunc(selectorsLike(selector, jobs), func(name string) bool {
		return digitsOf(name) != digitsOf(selector)
	})
	return cmp.Or(didYouMean(selector, names), shortIDHint(selector))
}

// digitsOf returns the digits in s.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// jobsStartingWith returns the IDs that start with a prefix, sorted. It omits the children of a job that it returns.
func jobsStartingWith(prefix string, jobs []backends.Job) (ids []string) {
	if prefix == "" {
		return nil
	}
	for _, j := range jobs {
		if strings.HasPrefix(j.ID, prefix) && (j.Parent == "" || !strings.HasPrefix(j.Parent, prefix)) {
			ids = append(ids, j.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// selectorsLike returns the selectors of the same form as the given one: job IDs and, if it contains a slash, groups
// and tasks of jobs. They are sorted.
func selectorsLike(selector string, jobs []backends.Job) (names []string) {
	slashes := strings.Count(selector, "/")
	for _, j := range jobs {
		names = append(names, j.ID)
		if slashes == 0 {
			continue
		}
		for _, a := range j.Allocations {
			group := j.ID + "/" + a.Group
			names = append(names, group)
			for _, t := range a.Tasks {
				names = append(names, group+"/"+t.Name)
			}
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.Count(n, "/") != slashes })
	slices.Sort(names)
	return slices.Compact(names)
}

// didYouMean returns ": did you mean NAME?" for the names closest to word, at most three, or "" if none is close.
func didYouMean(word string, names []string) string {
	const maxNames = 3
	nearest := suggest.Nearest(word, names)
	if len(nearest) == 0 {
		return ""
	}
	nearest = nearest[:min(len(nearest), maxNames)]
	last := len(nearest) - 1
	text := nearest[last]
	if last > 0 {
		text = strings.Join(nearest[:last], ", ") + " or " + text
	}
	return ": did you mean " + text + "?"
}
