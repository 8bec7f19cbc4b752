package commands

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"nomadctld/backends"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
)

// psView is what ps shows, in any of its formats.
type psView struct {
	now  time.Time
	jobs []psJobView
}

type psJobView struct {
	job        backends.Job
	qualifiers []string // distinguish the job from others with the same ID
	state      jobstate.State
	tasks      []psTaskView
}

// psTaskView is a task, or an allocation whose tasks are not known yet.
type psTaskView struct {
	allocation backends.Allocation
	task       backends.Task
	state      jobstate.State
	usage      backends.Usage
	measured   bool // usage is known
}

func newPsView(
	jobs []backends.Job, usage map[string]backends.Usage, checks map[string][]backends.Check, now time.Time,
) *psView {
	v := &psView{now: now}
	all := qualifiers(jobs)
	for i, job := range jobs {
		j := psJobView{job: job, qualifiers: all[i], state: jobstate.Job(job)}
		for _, a := range job.Allocations {
			tasks := a.Tasks
			if len(tasks) == 0 { // the tasks have no names until the client agent has started the allocation
				tasks = []backends.Task{{}}
			}
			for _, task := range tasks {
				u, measured := usage[task.ExecID]
				j.tasks = append(j.tasks, psTaskView{a, task, jobstate.Task(a, task, checks[a.ID], now), u, measured})
			}
		}
		if j.state.Level == jobstate.Good && j.hasTask(func(t psTaskView) bool { return t.state.Problem }) {
			j.state.Level = jobstate.Warn // not a green 2/2 above a task that crashes
		}
		v.jobs = append(v.jobs, j)
	}
	return v
}

// startedFirst moves the tasks of each allocation that have started before those that have not: a prestart task that
// has failed comes before the tasks that it prevented from starting.
func (v *psView) startedFirst() {
	started := func(t psTaskView) int {
		if t.task.Started.IsZero() {
			return 1
		}
		return 0
	}
	for _, j := range v.jobs {
		for first := 0; first < len(j.tasks); {
			n := 1
			for first+n < len(j.tasks) && j.tasks[first+n].allocation.ID == j.tasks[first].allocation.ID {
				n++
			}
			slices.SortStableFunc(j.tasks[first:first+n], func(a, b psTaskView) int { return started(a) - started(b) })
			first += n
		}
	}
}

// hideSuperseded removes failed allocations that Nomad has replaced, and jobs of which nothing else is left.
func (v *psView) hideSuperseded() {
	v.jobs = slices.DeleteFunc(v.jobs, func(j psJobView) bool {
		return !j.hasTask(func(t psTaskView) bool {
			return !jobstate.Superseded(t.allocation)
		}) && len(j.job.Unplaced) == 0
	})
	for i := range v.jobs {
		v.jobs[i].tasks = slices.DeleteFunc(v.jobs[i].tasks, func(t psTaskView) bool {
			return jobstate.Superseded(t.allocation)
		})
	}
}

func (j psJobView) hasTask(wanted func(psTaskView) bool) bool {
	return slices.ContainsFunc(j.tasks, wanted)
}

// problems returns the number of tasks that need attention.
func (j psJobView) problems() (n int) {
	for _, t := range j.tasks {
		if t.state.Problem {
			n++
		}
	}
	return n
}

// keepProblems removes all jobs and tasks that need no attention.
func (v *psView) keepProblems() {
	problem := func(t psTaskView) bool { return t.state.Problem }
	v.jobs = slices.DeleteFunc(v.jobs, func(j psJobView) bool { return !j.state.Problem && !j.hasTask(problem) })
	for i := range v.jobs {
		v.jobs[i].tasks = slices.DeleteFunc(v.jobs[i].tasks, func(t psTaskView) bool { return !problem(t) })
	}
}

// sort sorts the tasks of each job by key, largest first, and the jobs by the totals of their tasks. By age, the oldest
// task of a job decides. key is "" for the usual order.
func (v *psView) sort(key string) {
	if key == "" {
		return
	}
	value := func(t psTaskView) float64 {
		switch key {
		case "cpu":
			return valueOrZero(t.usage.CPU)
		case "mem":
			return float64(valueOrZero(t.usage.Memory))
		case "restarts":
			return float64(t.task.Restarts)
		}
		return v.now.Sub(ageStart(t.allocation, t.task)).Seconds()
	}
	total := func(j psJobView) (sum float64) {
		for _, t := range j.tasks {
			if key == "age" {
				sum = max(sum, value(t))
			} else {
				sum += value(t)
			}
		}
		return sum
	}
	for _, j := range v.jobs {
		slices.SortStableFunc(j.tasks, func(a, b psTaskView) int { return cmp.Compare(value(b), value(a)) })
	}
	slices.SortStableFunc(v.jobs, func(a, b psJobView) int { return cmp.Compare(total(b), total(a)) })
}

func valueOrZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (v *psView) execIDs() string {
	var b strings.Builder
	for _, job := range v.jobs {
		for _, t := range job.tasks {
			if t.task.ExecID != "" {
				b.WriteString(t.task.ExecID + "\n")
			}
		}
	}
	return b.String()
}

// table returns the table for a pipe. It has the columns of the original nomadctld.
func (v *psView) table() *render.Table {
	table := render.NewTable("Exec ID", "Job/Task", "Node", "Uptime", "CPU", "Mem(max)", "Extra")
	for _, j := range v.jobs {
		name := j.job.ID
		switch j.job.DeploymentStatus {
		case "successful":
			name += " OK"
		case "failed":
			name += " FAIL"
		}
		extra := append([]string{j.state.Word}, j.qualifiers...)
		if j.state.Level == jobstate.Neutral || len(j.job.Unplaced) == 0 {
			extra = append(extra, j.state.Reasons...)
		} else {
			extra = append(extra, placementFailures(j.job)...)
		}
		if n := j.problems(); n > 0 {
			extra = append(extra, phrase.Count(n, "problem"))
		}
		table.Row("", name, "", "", "", "", strings.Join(extra, "; "))
		for _, t := range j.tasks {
			a, task := t.allocation, t.task
			flags := strings.Join(t.letters(), ",")
			if task.Name == "" {
				table.Row("", a.Group, a.Node, humanize.Time(a.Modified), "-", "-", flags)
				continue
			}
			cpu, memory := usageText(a, task, t.usageMap())
			table.Row(task.ExecID, task.Name, a.Node, uptimeText(a, task), cpu, memory, flags)
		}
	}
	return table
}

// letters returns the letters of the task. If the task is unhealthy and no event shows that, it appends U.
func (t psTaskView) letters() []string {
	flags := extraLetters(t.allocation, t.task)
	if t.state.Unhealthy && !slices.Contains(flags, "U") {
		flags = append(flags, "U")
	}
	return flags
}

func (t psTaskView) usageMap() map[string]backends.Usage {
	if !t.measured {
		return nil
	}
	return map[string]backends.Usage{t.task.ExecID: t.usage}
}

// lines returns the table for a terminal.
func (v *psView) lines() []psLine {
	var lines []psLine
	for _, j := range v.jobs {
		reasons := slices.Concat(j.qualifiers, j.state.Reasons)
		lines = append(lines, psLine{
			job: true, name: j.job.ID, state: j.state.Word, level: j.state.Level, reasons: reasons,
		})
		for _, t := range j.tasks {
			line := psLine{
				id: t.task.ExecID, name: t.name(), state: t.state.Word, level: t.state.Level, reasons: nonEmptyReason(t),
			}
			line.system = j.job.Type == "system" || j.job.Type == "sysbatch"
			line.cells = [psMiddleColumns]string{phrase.ShortID(t.allocation.ID), t.allocation.Node, v.uptime(t)}
			if t.allocation.Runs(t.task) {
				line.cells[3], line.cells[4] = cpuText(t.usage.CPU), t.memoryText()
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func nonEmptyReason(t psTaskView) []string {
	if reason := t.state.Reason(); reason != "" {
		return []string{reason}
	}
	return nil
}

// name returns the group and index, and the task if the allocation has several. It is part of a selector.
func (t psTaskView) name() string {
	name := strings.TrimPrefix(t.allocation.Name, t.allocation.JobID+".")
	if len(t.allocation.Tasks) > 1 {
		name += "/" + t.task.Name
	}
	return name
}

// uptime returns how long a task has been running or, if it has stopped, how long it ran.
func (v *psView) uptime(t psTaskView) string {
	started := t.task.Started
	switch {
	case started.IsZero():
		return ""
	case t.allocation.MayRun(t.task):
		return jobstate.Age(v.now.Sub(started))
	}
	if ended := t.allocation.TaskFinishedAt(t.task); ended.After(started) {
		return jobstate.Age(ended.Sub(started))
	}
	return ""
}

func (t psTaskView) memoryText() string {
	if t.usage.Memory == nil {
		return "-"
	}
	text := compactBytes(*t.usage.Memory)
	if t.usage.MemoryMax != nil {
		text += " (" + compactBytes(*t.usage.MemoryMax) + ")"
	}
	return text
}

// compactBytes returns a size such as 34M.
func compactBytes(n uint64) string {
	return strings.NewReplacer(" ", "", "iB", "").Replace(humanize.IBytes(n))
}
