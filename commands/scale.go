package commands

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/jobrelease"
	"nomadctld/internal/monitor"
	"nomadctld/internal/parse"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(scale) }) }

type scale struct {
	waitFlags
	yes bool
}

func (s *scale) Spec() router.Spec {
	return router.Spec{
		Name:            "scale",
		Args:            "JOB|JOB/GROUP COUNT",
		NegativeNumbers: true,
		Short:           "Set a task group's count",
		Group:           router.GroupChange,
		Rank:            4,
		Target:          router.TargetPart,
		RightSet:        router.Operate,
		WantsTerminal:   true,
		Long: `
Set the number of allocations of a task group and wait until they are running. JOB is
enough if the job has one group.

COUNT is the new count. With a sign it is relative: +1 adds one allocation, -1
removes one. The count must be within the limits of the group's scaling block.
scale prints the old and the new count before it changes the job. On a terminal, it
prompts if COUNT is 0 and several allocations are running.`,
		Examples: []router.Example{
			{Line: "scale p-team1-web/web 4"},
			{Line: "scale p-team1-web +1", Comment: "one more"},
			{Line: "scale p-team1-web -1", Comment: "one fewer"},
			{Line: "scale -y p-team1-api/web 0", Comment: "none, no prompt"},
		},
		Flags: func(f *pflag.FlagSet) {
			s.waitFlags.bind(f)
			f.BoolVarP(&s.yes, "yes", "y", false, "do not prompt")
		},
	}
}

func (s *scale) Run(ctx context.Context, req *router.Request) error {
	if err := s.waitFlags.check(req); err != nil {
		return err
	}
	if _, _, ok := parse.SplitCount(req.Args[1]); !ok {
		return router.Exit(2, fmt.Errorf("scale: COUNT is a number of allocations, not %q", req.Args[1]))
	}
	if req.Target.Allocation != nil || req.Target.Part.Task != "" {
		return router.Exit(2, fmt.Errorf("scale: %s is not a group; write JOB/GROUP", req.Args[0]))
	}
	job, err := currentJob(ctx, req)
	if err != nil {
		return err
	}
	// An operation that has changed the job registers it again.
	if err := req.Access.Operations.CheckNoPendingRestore(); err != nil {
		return err
	}
	if req.Target.Part.Group == "" && len(job.Groups) == 1 {
		req.Target.Part.Group = job.Groups[0].Name
		req.Event.Group = req.Target.Part.Group
	}
	group, err := req.Target.Part.GroupIn(job)
	if err != nil {
		return err
	}
	if err := checkScalable(job, group); err != nil {
		return err
	}
	count, err := parse.Count(req.Args[1], group.Count)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", job.ID, group.Name, err)
	}
	if s := group.Scaling; s != nil && (count < s.Min || count > s.Max) {
		return fmt.Errorf("the scaling block of %s/%s allows %d to %d, not %d", job.ID, group.Name, s.Min, s.Max, count)
	}
	if group.Count == count {
		return printNotice(req, "%s/%s already has a count of %d", job.ID, group.Name, count)
	}
	if err := s.confirmStop(ctx, req, job, group, count); err != nil {
		return err
	}
	warning, err := jobrelease.Save(ctx, req.Access.Cluster, req.Access.Operations.Saved(), job, 1)
	if err != nil {
		return err
	}
	if err := confirmWarnings(ctx, req, s.yes, warning); err != nil {
		return err
	}
	req.Console.Statusf("scaling %s/%s from %d to %d", job.ID, group.Name, group.Count, count)
	result, err := req.Access.Writer.Scale(ctx, job.Job, group.Name, count)
	if err != nil {
		return phrase.JobError(job.Job, err)
	}
	if s.detach {
		return s.printEvaluation(req, result)
	}
	err = s.waitUntilScaled(ctx, req, job.Job, group.Name, count, result)
	return s.printUp(req, err, "scaled %s/%s from %d to %d%s",
		job.ID, group.Name, group.Count, count, evaluationSuffix(result))
}

// confirmStop prompts if a count of 0 would stop several allocations.
func (s *scale) confirmStop(
	ctx context.Context, req *router.Request, job backends.JobDetail, group *backends.Group, count int,
) error {
	active := monitor.ActiveAllocations(job, group.Name)
	if count > 0 || len(active) <= 1 {
		return nil
	}
	return confirm(ctx, req, s.yes, "Scale %s/%s from %d to 0 in tier %s, and stop %s?",
		job.ID, group.Name, group.Count, job.Tier, phrase.Count(len(active), "running allocation"))
}

func checkScalable(job backends.JobDetail, group *backends.Group) error {
	switch {
	case group == nil:
		return router.Exit(2, fmt.Errorf("scale: %s has %s; name one: %s/GROUP",
			job.ID, phrase.Count(len(job.Groups), "group"), job.ID))
	case job.Stopped:
		return fmt.Errorf("%s is stopped (see: start %s)", job.ID, job.ID)
	case job.Type == "system" || job.Type == "sysbatch":
		return fmt.Errorf("%s is a %s job, which cannot be scaled: Nomad runs one allocation on each eligible node",
			job.ID, job.Type)
	}
	return nil
}
