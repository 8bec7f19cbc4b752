package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/jobrelease"
	"nomadctld/internal/jobstate"
	"nomadctld/internal/ops"
	"nomadctld/internal/phrase"
	"nomadctld/internal/render"
	"nomadctld/internal/restart"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(opsCommand) }) }

type opsCommand struct{ cancel, restore, forget, json bool }

func (o *opsCommand) Spec() router.Spec {
	return router.Spec{
		Name:          "ops",
		Args:          "[ID]",
		Short:         "List and manage restarts",
		Group:         router.GroupChange,
		Rank:          8,
		Target:        router.TargetScope,
		RightSet:      router.Operate,
		WantsTerminal: true,
		JSON:          opsOutput{},
		Long: `
List the restarts (operations) of your jobs, running or recently finished.
Restarts that other users started are listed too.

With an ID, or the first 4 or more characters of one, print the output of the
restart so far and follow it. If you disconnect from ops, the restart continues. You
need the right to restart the job.

A restart is "cancelled" if it stopped early because a user cancelled it, the client
of "restart" disconnected, or the gateway was stopped. It is "interrupted" if the gateway
exited before the original definition was registered again: the job may still be
stopped, or registered with a reschedule block that allows one attempt. --restore
registers the definition that was saved before the restart.`,
		Examples: []router.Example{
			{Line: "ops", Comment: "list restarts"},
			{Line: "ops 3f9c2d71", Comment: "follow one"},
			{Line: "ops --cancel 3f9c2d71", Comment: "stop it after the current step"},
			{Line: "ops --restore 3f9c2d71", Comment: "restore the job after an interruption"},
		},
		Flags: func(f *pflag.FlagSet) {
			f.BoolVar(&o.cancel, "cancel", false, "stop the restart after the current batch or step")
			f.BoolVar(&o.restore, "restore", false, "register the job again with its saved definition")
			f.BoolVar(&o.forget, "forget", false, "delete the saved definition without registering the job")
			f.BoolVar(&o.json, "json", false, "print the list as JSON")
		},
	}
}

func (o *opsCommand) Run(ctx context.Context, req *router.Request) error {
	actions := 0
	for _, wanted := range []bool{o.cancel, o.restore, o.forget} {
		if wanted {
			actions++
		}
	}
	switch {
	case len(req.Args) == 0 && actions > 0:
		return router.Exit(2, errors.New("ops: --cancel, --restore and --forget need the ID of an operation"))
	case actions > 1:
		return router.Exit(2, errors.New("ops: use only one of --cancel, --restore and --forget"))
	case len(req.Args) > 0 && len(req.Args[0]) < minIDLength:
		return router.Exit(2, fmt.Errorf("ops: write at least %d digits of the ID, not %q (see: ops)",
			minIDLength, req.Args[0]))
	case len(req.Args) > 0 && o.json:
		return router.Exit(2, errors.New("ops: --json works only for the list, without an ID"))
	}
	started, saved, err := req.Access.Operations.Owned(req.Selection)
	if err != nil {
		return err
	}
	all := listOps(started, saved)
	if len(req.Args) == 0 {
		return o.showList(req, all)
	}
	one, err := opByIDPrefix(req, all, req.Args[0])
	if err != nil {
		return err
	}
	req.Target.Job = backends.Job{Tier: one.Tier, Namespace: one.Namespace, ID: one.Job, Root: one.root}
	req.Event.Tier, req.Event.Namespace, req.Event.Job = one.Tier, one.Namespace, one.Job
	if actions > 0 {
		req.Event.Operation = one.ID
	}
	if err := req.Require("restart"); err != nil {
		return err
	}
	switch op := findOp(started, one.ID); {
	case op != nil && (o.restore || o.forget) && !op.IsFinished():
		return fmt.Errorf("operation %s is still running (see: ops %s)", one.ID, one.ID)
	case o.restore, o.forget:
		i := slices.IndexFunc(saved, func(s ops.SavedDefinition) bool { return s.ID == one.ID })
		if i < 0 {
			return fmt.Errorf("operation %s has no saved definition to restore or delete (see: status %s)", one.ID, one.Job)
		}
		return o.restoreOrForget(ctx, req, saved[i])
	case op == nil:
		return fmt.Errorf("operation %s on %s was interrupted before it had restored the job "+
			"(restore the job: ops --restore %s)",
			one.ID, one.Job, one.ID)
	case o.cancel:
		return cancelOp(req, op)
	default:
		report := req.Console.NewProgressLine()
		defer report.Clear()
		_, err := followUntilExit(ctx, report, op)
		return err
	}
}

func (o *opsCommand) showList(req *router.Request, all []opOutput) error {
	if o.json {
		return render.JSON(req.Console.Stdout, opsOutput{append([]opOutput{}, all...)})
	}
	if len(all) == 0 {
		printListingNote(req, req.Console.Stdout, false, "no restarts of your jobs")
		if req.Console.Terminal != nil {
			return nil
		}
	}
	rows := [][]string{{"ID", "State", "Started", "User", "Tier", "Job", "Last"}}
	for _, one := range all {
		started := one.Started.Format("2006-01-02T15:04:05Z")
		if req.Console.Terminal != nil {
			started = jobstate.Age(time.Since(one.Started)) + " ago"
		}
		rows = append(rows, []string{one.ID, one.State, started, one.User, one.Tier, one.Job, one.Last})
	}
	var b strings.Builder
	render.Columns(&b, rows, req.Console.Style())
	_, err := io.WriteString(req.Console.Stdout, b.String())
	return err
}

// minIDLength is the minimum length of an ID, so that an empty variable or a typo does not match the only operation.
const minIDLength = 4

func opByIDPrefix(req *router.Request, all []opOutput, id string) (opOutput, error) {
	found := slices.DeleteFunc(slices.Clone(all), func(one opOutput) bool {
		return !strings.HasPrefix(one.ID, strings.ToLower(id))
	})
	switch len(found) {
	case 0:
		return opOutput{}, req.Deny(fmt.Errorf("no operation %s (see: ops)", id))
	case 1:
		return found[0], nil
	}
	return opOutput{}, fmt.Errorf("%s matches %d operations: write more digits (see: ops)", id, len(found))
}

func findOp(started []*ops.Op, id string) *ops.Op {
	for _, op := range started {
		if op.ID == id {
			return op
		}
	}
	return nil
}

func cancelOp(req *router.Request, op *ops.Op) error {
	if op.IsFinished() {
		return printNotice(req, "operation %s has already finished", op.ID)
	}
	op.Halt("cancelled by " + req.User.Login)
	return printResult(req, "operation %s on %s stops after the current step (see: ops %s)", op.ID, op.Job.ID, op.ID)
}

// restoreOrForget registers the saved definition of the target's job again unless somebody has done that, or deletes it
// with --forget.
func (o *opsCommand) restoreOrForget(ctx context.Context, req *router.Request, saved ops.SavedDefinition) error {
	job := req.Target.Job
	if o.forget {
		if err := req.Access.Operations.DeleteDefinition(saved); err != nil {
			return err
		}
		return printResult(req, "deleted the saved definition of version %d of %s", saved.Version, job.ID)
	}
	index, err := restart.RestoreIndex(ctx, req.Access.Cluster, job, saved)
	var notStopped restart.NotStoppedError
	switch {
	case errors.As(err, &notStopped):
		printNotice(req, "%s", notStopped)
		return req.Access.Operations.DeleteDefinition(saved)
	case err != nil:
		return err
	}
	result, err := req.Access.Writer.Register(ctx, job, saved.Definition, index)
	if err != nil {
		return phrase.JobError(job, err)
	}
	if err := jobrelease.Relink(ctx, req.Access.Cluster, req.Access.Operations.Saved(), job,
		saved.Definition); err != nil {
		req.Console.Statusf("warning: %v", err)
	}
	if err := printResult(req, "registered %s again, unchanged%s", job.ID, evaluationSuffix(result)); err != nil {
		return err
	}
	return req.Access.Operations.DeleteDefinition(saved)
}
