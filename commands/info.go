package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(info) }) }

type info struct{ json bool }

func (i *info) Spec() router.Spec {
	return router.Spec{
		Name:          "info",
		Args:          taskArg,
		Short:         "Show tasks and their events",
		Group:         router.GroupLook,
		Rank:          3,
		Target:        router.TargetJobOrTask,
		RightSet:      router.Read,
		WantsTerminal: true,
		JSON:          jobOutput{},
		Long: `
Show the state of a job and its tasks, and what happened to them.

` + jobOrTaskHelp + `

For a job, the output starts with the job, its latest deployment by group, and the
groups that cannot be placed and why. For each task it shows:

  - exec ID, status of the allocation, age, group, task
  - node, CPU, memory and peak memory
  - restarts used and left, last exit, the allocation that it replaces
  - Nomad's service checks
  - all events that Nomad still has, with their messages

info JOB leaves out complete and lost allocations: select one by ID.`,
		Examples: []router.Example{
			{Line: "info p-team1-web", Comment: "a job with all its tasks"},
			{Line: "info 45fed1138a", Comment: "one task"},
		},
		Flags: func(f *pflag.FlagSet) { f.BoolVar(&i.json, "json", false, "print JSON") },
	}
}

func (i *info) Run(ctx context.Context, req *router.Request) error {
	done := req.Console.ShowActivity("waiting for the cluster")
	defer done()
	job, err := req.Access.Cluster.Job(ctx, req.Target.Job)
	if err != nil && (req.Target.Task == nil || !errors.Is(err, backends.ErrNotFound)) {
		return phrase.JobError(req.Target.Job, err)
	}
	job.Allocations = selectAllocations(job.Allocations, req.Target.Allocation, req.Target.Task)
	statsCtx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	var checks map[string][]backends.Check
	var wg sync.WaitGroup
	wg.Go(func() { checks = req.Access.Cluster.Checks(statsCtx, job.Allocations) })
	usage := req.Access.Cluster.Usage(statsCtx, job.Allocations)
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	done()
	if i.json {
		return render.JSON(req.Console.Stdout, jobJSON(job, usage, checks))
	}
	var head string
	if req.Target.Task == nil {
		head = jobText(job, req.Console.Style())
	}
	text := render.NewDetails(req.Console.Style())
	for _, a := range job.Allocations {
		restart := restartPolicy(job, a.Group)
		for _, task := range a.Tasks {
			writeTask(text, a, task, usage[task.ExecID], restart, checks[a.ID])
		}
		if len(a.Tasks) == 0 {
			writeTask(text, a, backends.Task{}, backends.Usage{}, restart, nil)
		}
	}
	_, err = io.WriteString(req.Console.Stdout, head+text.String())
	return err
}

// selectAllocations returns the allocations that are not hidden by default. If an allocation is named, it returns only
// that one, with only the named task. The named allocation may be missing in all if its job was purged or registered
// again.
func selectAllocations(
	all []backends.Allocation, allocation *backends.Allocation, task *backends.Task,
) []backends.Allocation {
	if allocation == nil {
		return slices.DeleteFunc(slices.Clone(all), backends.Allocation.HiddenByDefault)
	}
	one := *allocation
	if i := slices.IndexFunc(all, func(a backends.Allocation) bool { return a.ID == allocation.ID }); i >= 0 {
		one = all[i]
	}
	one.Tasks = slices.DeleteFunc(slices.Clone(one.Tasks), func(t backends.Task) bool { return t.Name != task.Name })
	return []backends.Allocation{one}
}

func restartPolicy(job backends.JobDetail, group string) backends.RestartPolicy {
	for _, g := range job.Groups {
		if g.Name == group {
			return g.Restart
		}
	}
	return backends.RestartPolicy{}
}

func jobText(job backends.JobDetail, style render.Style) string {
	text := render.NewDetails(style)
	state := job.Status
	if job.Stopped {
		state = "stopped"
	}
	text.Line(job.ID, state, fmt.Sprintf("version %d", job.Version),
		fmt.Sprintf("%s, namespace %s, tier %s, submitted %s",
			job.Type, job.Namespace, job.Tier, humanize.Time(job.Submitted)))
	if d := job.LatestDeployment; d != nil {
		text.Line("deployment", d.Status, phrase.ShortID(d.ID), d.Description)
		for _, g := range d.Groups {
			progress := fmt.Sprintf("%d desired, %d placed, %d healthy, %d unhealthy",
				g.Desired, g.Placed, g.Healthy, g.Unhealthy)
			if g.Canaries > 0 {
				progress += fmt.Sprintf(", %d canaries, promoted: %t", g.Canaries, g.Promoted)
			}
			text.Line("", "", g.Group, progress)
		}
	}
	for _, u := range job.Unplaced {
		for i, reason := range u.Reasons {
			heading := "not placed"
			if i > 0 {
				heading = ""
			}
			text.Line(heading, "blocked", u.Group, reason)
		}
	}
	text.Blank()
	return text.String()
}

func writeTask(
	text *render.Details, a backends.Allocation, t backends.Task, u backends.Usage, restart backends.RestartPolicy,
	checks []backends.Check,
) {
	text.Line(t.ExecID, a.Status, humanize.Time(ageStart(a, t)), strings.Trim(a.Group+"/"+t.Name, "/"))
	text.Line("", "Allocation", strings.TrimPrefix(a.Name, a.JobID+"."), a.ID)
	cpu, memory := usageText(a, t, map[string]backends.Usage{t.ExecID: u})
	text.Line("", cmp.Or(a.Node, "no node yet"), cpu+" MHz", memory)
	if a.Status == "unknown" {
		text.Line("", "Disconnected", humanize.Time(a.Modified),
			"the node has lost its connection to Nomad; the task may still be running")
	}
	if restart.Mode != "" {
		text.Line("", "Restarts", fmt.Sprintf("%d so far", t.Restarts), restartsLeft(a, t, restart))
	}
	if exit, ok := lastExit(t); ok {
		text.Line("", "Last Exit", humanize.Time(exit.Time), exit.Message)
	}
	for _, r := range a.Rescheduled {
		text.Line("", humanize.Time(r.Time), "Rescheduled", "replaces the failed allocation "+phrase.ShortID(r.Previous))
	}
	if a.Next != "" {
		text.Line("", "Replaced By", phrase.ShortID(a.Next), "")
	}
	for _, check := range checks {
		if check.Task == "" || check.Task == t.Name {
			text.Line("", "Check", check.Status, fmt.Sprintf("%s %s: %s",
				check.Service, check.Name, strings.TrimSpace(check.Output)))
		}
	}
	for _, event := range t.Events {
		text.Line("", humanize.Time(event.Time), event.Type, event.Message)
	}
	text.Blank()
}

// restartsLeft returns how many times Nomad may still restart the task in place, or "" for a task that has finished
// without failing. Nomad keeps the last ten events of a task, and a restart adds several, so the number may be too high
// after a few restarts.
func restartsLeft(a backends.Allocation, t backends.Task, policy backends.RestartPolicy) string {
	if a.TaskState(t) == backends.StateDead {
		if !t.Failed {
			return ""
		}
		return fmt.Sprintf("not restarted any more (limit %d in %s, then %s)", policy.Attempts, policy.Interval, policy.Mode)
	}
	left := policy.Attempts
	for _, event := range t.Events {
		if event.Type == "Restarting" && time.Since(event.Time) < policy.Interval {
			left--
		}
	}
	return fmt.Sprintf("%d left of %d in %s, then %s", max(left, 0), policy.Attempts, policy.Interval, policy.Mode)
}

// lastExit returns the event of the task's latest exit.
func lastExit(t backends.Task) (last backends.Event, ok bool) {
	for _, event := range t.Events {
		if event.Type == "Terminated" {
			last, ok = event, true
		}
	}
	return last, ok
}
