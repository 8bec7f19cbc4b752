package completion

import (
	"slices"
	"strings"
	"testing"

	"nomadctld/backends"
)

// newAllocation returns an allocation of index 0 with a task nginx, whose exec ID has the digit of id.
func newAllocation(job, group, id, status string) backends.Allocation {
	state := "running"
	if status == "complete" || status == "failed" {
		state = "dead"
	}
	return backends.Allocation{
		ID: id, JobID: job, Name: job + "." + group + "[0]", Group: group, Node: "n1", Status: status, Desired: "run",
		Tasks: []backends.Task{{Name: "nginx", ExecID: strings.Repeat(id, 10), State: state}},
	}
}

func newJob(id string, allocations ...backends.Allocation) backends.Job {
	return backends.Job{ID: id, Type: "service", Status: "running", Tier: "production", Allocations: allocations}
}

// words returns the words of candidates that start with last.
func words(all []Candidate, last string) (words []string) {
	for _, c := range all {
		if strings.HasPrefix(c.Word, last) {
			words = append(words, c.Word)
		}
	}
	return words
}

func TestTasks(t *testing.T) {
	running, unknown := newAllocation("web", "g", "1", "running"), newAllocation("web", "g", "3", "unknown")
	lost, complete := newAllocation("web", "g", "2", "lost"), newAllocation("web", "g", "4", "complete")
	other := newAllocation("web", "db", "5", "running")
	for name, tc := range map[string]struct {
		job         backends.Job
		last        string
		acceptsJobs bool
		want        []string
	}{
		"running first": {newJob("web", running, lost, unknown, complete), "", false, []string{
			"web", "1111111111",
			"3333333333",
		}},
		"disconnected": {newJob("web", lost, unknown), "", false, []string{"web", "3333333333"}},
		"none running": {newJob("web", lost, complete), "", false, nil},
		"two groups": {newJob("web", running, other), "", false, []string{
			"web/g", "web/db", "1111111111",
			"5555555555",
		}},
		"group typed":          {newJob("web", running, other), "web/g/", false, []string{"web/g/nginx"}},
		"job typed":            {newJob("web", running, other), "web/", false, []string{"web/g", "web/db"}},
		"with jobs":            {newJob("web", running, lost), "", true, []string{"web", "1111111111", "2222222222"}},
		"with jobs, job typed": {newJob("web", running, other), "web/", true, []string{"web/g", "web/db"}},
	} {
		got := words(Tasks([]backends.Job{tc.job}, tc.last, tc.acceptsJobs), tc.last)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestTasks_Instances(t *testing.T) {
	first, second := newAllocation("web", "g", "1", "running"), newAllocation("web", "g", "2", "running")
	second.Name = "web.g[1]"
	pod := newAllocation("pod", "g", "3", "running")
	pod.Tasks = append(pod.Tasks, backends.Task{Name: "proxy", ExecID: "4", State: "running"})
	podTwo := newAllocation("pod", "g", "5", "running")
	podTwo.Name, podTwo.Tasks = "pod.g[1]", pod.Tasks
	agent := newJob("agent", newAllocation("agent", "g", "6", "running"), newAllocation("agent", "g", "7", "running"))
	jobs := []backends.Job{newJob("web", first, second), newJob("pod", pod, podTwo), agent}
	for _, tc := range []struct {
		last        string
		acceptsJobs bool
		want        []string
	}{
		{"w", false, []string{"web/g[0]", "web/g[1]"}},
		{"w", true, []string{"web"}},
		{"web/", true, []string{"web/g[0]", "web/g[1]"}},
		{"web/g[1", false, []string{"web/g[1]"}},
		{"web.", false, []string{"web.g[0]", "web.g[1]"}},
		{"web.g[0]", true, []string{"web.g[0]"}},
		{"web/g[0]/", false, []string{"web/g[0]/nginx"}},
		{"p", false, []string{"pod/g[0]/nginx", "pod/g[0]/proxy", "pod/g[1]/nginx", "pod/g[1]/proxy"}},
		{"pod.g[1]/", true, []string{"pod.g[1]/nginx", "pod.g[1]/proxy"}},
		{"agent/", false, nil}, // allocations of a system job all have one name
	} {
		if got := words(Tasks(jobs, tc.last, tc.acceptsJobs), tc.last); !slices.Equal(got, tc.want) {
			t.Errorf("%s, %t: got %q, want %q", tc.last, tc.acceptsJobs, got, tc.want)
		}
	}
}

func TestTasks_DescribeState(t *testing.T) {
	for _, c := range Tasks([]backends.Job{newJob("web", newAllocation("web", "g", "2", "lost"))}, "2", true)[1:] {
		if c.Description != "lost: web/nginx on n1" {
			t.Errorf("%s is described as %q", c.Word, c.Description)
		}
	}
}

func TestParts(t *testing.T) {
	one := newJob("api", newAllocation("api", "g", "1", "running"))
	two := newJob("web", newAllocation("web", "db", "2", "running"), newAllocation("web", "g", "3", "failed"))
	two.Unplaced = []backends.UnplacedGroup{{Group: "waiting"}}
	for name, tc := range map[string]struct {
		last     string
		accepted Accepted
		want     []string
	}{
		"nothing typed":      {"", Accepted{IDs: true}, []string{"api", "web", "1111111111", "2222222222"}},
		"without IDs":        {"", Accepted{}, []string{"api", "web"}},
		"one group":          {"a", Accepted{}, []string{"api"}},
		"one group, typed":   {"api/", Accepted{}, []string{"api/g"}},
		"several groups":     {"w", Accepted{}, []string{"web", "web/db", "web/g", "web/waiting"}},
		"task":               {"web/db/", Accepted{Tasks: true}, []string{"web/db/nginx"}},
		"task, accepts none": {"web/db/", Accepted{}, nil},
		"an exec ID":         {"22", Accepted{Tasks: true, IDs: true}, []string{"2222222222"}},
		"finished":           {"33", Accepted{IDs: true, Finished: true}, []string{"3333333333"}},
		"not finished":       {"33", Accepted{IDs: true}, nil},
		"group typed":        {"web/db", Accepted{Tasks: true, IDs: true}, []string{"web/db", "web/db[0]"}},
		"dot typed":          {"web.", Accepted{IDs: true}, []string{"web.db[0]"}},
		"index, not wanted":  {"web/db[", Accepted{}, nil},
	} {
		got := words(Parts([]backends.Job{one, two}, tc.last, tc.accepted), tc.last)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
