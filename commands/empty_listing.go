package commands

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"nomadctld/backends"
	"nomadctld/internal/suggest"
	"nomadctld/router"
)

// noneRunningText reports that a listing of running jobs is empty. matching is the number of jobs that match the filter
// and are not running. jobs are all jobs that the user may list.
func noneRunningText(filter string, matching int, jobs []backends.Job) string {
	are := fmt.Sprintf("%d are", matching)
	if matching == 1 {
		are = "1 is"
	}
	switch {
	case matching == 0 && filter == "":
		return "no jobs"
	case matching == 0:
		return fmt.Sprintf("no job matches %s%s", filter, similarName(filter, jobs))
	case filter == "":
		return fmt.Sprintf("no job is running, and %s stopped or finished (see: ps --all)", are)
	}
	return fmt.Sprintf("no job that matches %s is running, and %s stopped or finished (see: ps --all %[1]s)", filter, are)
}

// printListingNote prints a message about a listing. If out is text on a terminal, it prints to out, which may be a
// frame of
// --watch. Otherwise it prints to stderr.
func printListingNote(req *router.Request, out io.Writer, forScripts bool, text string) {
	if req.Console.Terminal == nil || forScripts {
		out = req.Console.Stderr
	}
	fmt.Fprintln(out, req.Console.Message(text))
}

// maxWords limits the words of a job's ID that similarName compares.
const maxWords = 8

// similarName returns a "did you mean" hint for a mistyped filter, or "". The hint has the closest job ID, or the
// closest sequence of words in a job ID.
func similarName(filter string, jobs []backends.Job) string {
	var names []string
	for _, job := range jobs {
		words := strings.Split(job.ID, "-")
		for i := range min(len(words), maxWords) {
			for j := i; j < min(len(words), maxWords); j++ {
				names = append(names, strings.Join(words[i:j+1], "-"))
			}
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return len(name) < 3 || len(filter) < 3 })
	if best := suggest.Closest(filter, names); best != "" {
		return ": did you mean " + best + "?"
	}
	return ""
}
