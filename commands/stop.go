package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(stop) }) }

type stop struct {
	settle
	purge, yes bool
}

func (s *stop) Spec() router.Spec {
	return router.Spec{
		Name:     "stop",
		Args:     "PART",
		Short:    "Stop a job, a group of it, or one allocation",
		Target:   router.TargetPart,
		Set:      router.Operate,
		Terminal: true,
		Rights:   map[string]router.Set{"purge": router.Admin},
		Long: `
PART is JOB, JOB/GROUP or an ID. A job is stopped and kept (see: start); a group is scaled to 0; an allocation, named by
its ID or by the exec ID of one of its tasks, is stopped, and Nomad replaces it.

It waits until nothing of it runs any more. Nomad goes on with it also if you leave.`,
		Flags: func(f *pflag.FlagSet) {
			s.settle.bind(f)
			f.BoolVar(&s.purge, "purge", false, "let Nomad forget the job as well, without waiting; needs the right to purge")
			f.BoolVarP(&s.yes, "yes", "y", false, "do not ask, where several allocations are hit")
		},
	}
}

func (s *stop) Run(ctx context.Context, req *router.Request) error {
	if err := s.check(req); err != nil {
		return err
	}
	job, err := current(ctx, req)
	if err != nil {
		return err
	}
	if err := req.Held(); err != nil { // what has stopped it starts it again
		return err
	}
	if req.Allocation != nil {
		return s.allocation(ctx, req, job)
	}
	group, err := groupOf(job, req.Part)
	if err != nil {
		return err
	}
	hit := live(job, req.Part.Group)
	if len(hit) > 1 {
		if err := confirm(ctx, req, s.yes, "Stop %s in tier %s: %s?", req.Args[0], job.Tier, counted(len(hit), "running allocation")); err != nil {
			return err
		}
	}
	var outcome backends.Outcome
	switch {
	case group != nil && group.Count == 0 && len(hit) == 0, job.Stopped && len(hit) == 0 && !s.purge:
		return already(req, "%s is stopped already", req.Args[0])
	case group != nil:
		outcome, err = req.Operations.Scale(ctx, job.Job, group.Name, 0)
	default:
		outcome, err = req.Operations.Stop(ctx, job.Job, s.purge)
	}
	var refused *backends.RefusedError
	if errors.As(err, &refused) && strings.Contains(refused.Reason, "scaling policy minimum") && group.Scaling != nil {
		return fmt.Errorf("the scaling block of %s/%s allows no less than %d: stop the job, or scale %s %d", job.ID, group.Name, group.Scaling.Min, req.Args[0], group.Scaling.Min)
	}
	if err != nil {
		return ofJob(job.Job, err)
	}
	if s.detach {
		return s.detached(req, outcome)
	}
	done := "stopped"
	if s.purge {
		done = "stopped and purged"
	} else if err := s.scaled(ctx, req, job.Job, req.Part.Group, 0, outcome); err != nil {
		return err
	}
	return finished(req, "%s %s: %s%s%s", done, req.Args[0], counted(len(hit), "allocation"), unreached(job, req.Part.Group), evaluation(outcome))
}

// unreached tells of allocations on nodes that have lost touch with Nomad: they may run on there.
func unreached(job backends.JobDetail, group string) string {
	n := 0
	for _, a := range job.Allocations {
		if a.Status == "unknown" && (group == "" || a.Group == group) {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; beyond reach, until Nomad hears of the node again: %s", counted(n, "allocation"))
}

func (s *stop) check(req *router.Request) error {
	if err := s.settle.check(); err != nil {
		return err
	}
	switch {
	case req.Part.Task != "":
		return router.Exit(2, errors.New("stop: a task cannot be stopped by itself: stop its group, or restart the task"))
	case s.purge && (req.Allocation != nil || req.Part.Group != ""):
		return router.Exit(2, errors.New("stop: only a whole job can be purged"))
	case s.purge:
		return req.Need("purge")
	}
	return nil
}

// allocation stops one allocation, all tasks of it.
func (s *stop) allocation(ctx context.Context, req *router.Request, job backends.JobDetail) error {
	a := *req.Allocation
	if a.Terminal() {
		return fmt.Errorf("allocation %s of %s does not run: it is %s", short(a.ID), job.ID, a.Status)
	}
	outcome, err := req.Operations.StopAllocation(ctx, a)
	if err != nil {
		return ofJob(job.Job, err)
	}
	if s.detach {
		return s.detached(req, outcome)
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	report := newReport(req)
	report.progress("stopping allocation %s", short(a.ID))
	var next string
	err = watchJob(ctx, req.Cluster, job.Job, report.progress, func(now backends.JobDetail) (bool, error) {
		for _, b := range now.Allocations {
			if b.ID == a.ID {
				next = b.Next
				return b.Status != "running" && b.Status != "pending", nil
			}
		}
		return true, nil
	})
	report.end()
	if err != nil {
		return s.left(err, job.Job)
	}
	replaced := "Nomad replaces it"
	switch {
	case job.Type == "system" || job.Type == "sysbatch":
		replaced = "of a " + job.Type + " job Nomad does not replace it until the job or its node changes"
	case next != "":
		replaced += " by " + short(next)
	}
	return finished(req, "stopped allocation %s of %s; %s%s", short(a.ID), job.ID, replaced, evaluation(outcome))
}
