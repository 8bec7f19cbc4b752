package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/ops"
	"nomadctld/internal/render"
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
		Set:           router.Operate,
		WantsTerminal: true,
		JSON:          opsOutput{},
		Long: `
List the restarts (operations) of your jobs that are running or have finished recently, including
those of other users.

With an ID, or the first 4 or more characters of one, print the output of the
restart so far and follow it. Disconnecting does not cancel the restart. You
need the right to restart the job.

A restart is "interrupted" if the gateway exited before the restart was finished.
The job may be stopped, or registered with one reschedule attempt. --restore
registers the definition that was saved before the restart.`,
		Examples: []router.Example{
			{Line: "ops", Comment: "list restarts"},
			{Line: "ops 3f9c2d71", Comment: "follow one"},
			{Line: "ops --cancel 3f9c2d71", Comment: "stop it after the current batch"},
			{Line: "ops --restore 3f9c2d71", Comment: "restore the job after an interruption"},
		},
		Flags: func(f *pflag.FlagSet) {
			f.BoolVar(&o.cancel, "cancel", false, "stop the restart after the current batch")
			f.BoolVar(&o.restore, "restore", false, "register the job again with its saved definition")
			f.BoolVar(&o.forget, "forget", false, "delete the saved definition without registering the job")
			f.BoolVar(&o.json, "json", false, "print the list as JSON")
		},
	}
}

type opsOutput struct {
	Operations []opOutput `json:"operations" doc:"oldest first"`
}

type opOutput struct {
	ID        string     `json:"id" doc:""`
	Tier      string     `json:"tier" doc:""`
	Namespace string     `json:"namespace" doc:""`
	Job       string     `json:"job" doc:""`
	State     string     `json:"state" doc:"running, ending, done, failed or interrupted"`
	User      string     `json:"user" doc:"login of the user who started it"`
	Started   time.Time  `json:"began" doc:""`
	Finished  *time.Time `json:"ended" doc:"null: it is still running"`
	Command   string     `json:"command" doc:"that started it"`
	Last      string     `json:"last" doc:"its last message"`

	root string // the job that decides whose it is
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
		return router.Exit(2, errors.New("ops: only one of --cancel, --restore and --forget at a time"))
	case len(req.Args) > 0 && len(req.Args[0]) < minIDLength:
		return router.Exit(2, fmt.Errorf("ops: an ID has %d digits or more, not %q (see: ops)", minIDLength, req.Args[0]))
	case len(req.Args) > 0 && o.json:
		return router.Exit(2, errors.New("ops: --json is for the list, without an ID"))
	}
	begun, kept, err := req.OwnedOperations()
	if err != nil {
		return err
	}
	all := listOps(begun, kept)
	if len(req.Args) == 0 {
		return o.showList(req, all)
	}
	one, err := opByID(all, req.Args[0])
	if err != nil {
		return req.Deny(err)
	}
	req.Job = backends.Job{Tier: one.Tier, Namespace: one.Namespace, ID: one.Job, Root: one.root}
	req.Event.Tier, req.Event.Namespace, req.Event.Job = one.Tier, one.Namespace, one.Job
	if actions > 0 {
		req.Event.Operation = one.ID
	}
	if err := req.Require("restart"); err != nil {
		return err
	}
	switch op := findOp(begun, one.ID); {
	case op != nil && (o.restore || o.forget) && !isFinished(op):
		return fmt.Errorf("operation %s goes on (see: ops %s)", one.ID, one.ID)
	case o.restore, o.forget:
		i := slices.IndexFunc(kept, func(k ops.SavedJob) bool { return k.ID == one.ID })
		if i < 0 {
			return fmt.Errorf("operation %s keeps no definition: %s was registered again", one.ID, one.Job)
		}
		return o.restoreOrForget(ctx, req, kept[i])
	case op == nil:
		return fmt.Errorf("operation %s on %s was interrupted by the end of the gateway (bring the job back: ops %s --restore)", one.ID, one.Job, one.ID)
	case o.cancel:
		return cancelOp(req, op)
	default:
		report := newProgressPrinter(req)
		defer report.clear()
		return op.Follow(ctx, report.print)
	}
}

// listOps returns the operations, those that are known only by what they kept among them.
func listOps(begun []*ops.Op, kept []ops.SavedJob) (all []opOutput) {
	for _, op := range begun {
		one := opOutput{op.ID, op.Job.Tier, op.Job.Namespace, op.Job.ID, "running", op.User, op.Started.UTC(), nil, op.Command, op.Last().Text, op.Job.Root}
		switch at, err := op.Finished(); {
		case !at.IsZero():
			at = at.UTC()
			one.Finished, one.State = &at, "done"
			if err != nil {
				one.State, one.Last = "failed", err.Error()
			}
			// One that ended without having seen to it.
			if caught := (*backends.PanicError)(nil); errors.As(err, &caught) && slices.ContainsFunc(kept, func(k ops.SavedJob) bool { return k.ID == op.ID }) {
				one.Last += "; bring it back with: " + restoreCommand(op.ID)
			}
		case op.HaltReason() != nil:
			one.State = "ending"
		}
		all = append(all, one)
	}
	for _, k := range kept {
		if !slices.ContainsFunc(all, func(one opOutput) bool { return one.ID == k.ID }) {
			all = append(all, opOutput{k.ID, k.Job.Tier, k.Job.Namespace, k.Job.ID, "interrupted", k.User, k.Time, nil, k.Command, "bring it back: " + restoreCommand(k.ID), k.Job.Root})
		}
	}
	slices.SortStableFunc(all, func(a, b opOutput) int { return a.Started.Compare(b.Started) })
	return all
}

// restoreCommand is the command that registers again what an operation has kept.
func restoreCommand(id string) string { return "ops " + id + " --restore" }

func (o *opsCommand) showList(req *router.Request, all []opOutput) error {
	if o.json {
		return render.JSON(req.Stdout, opsOutput{append([]opOutput{}, all...)})
	}
	rows := [][]string{{"ID", "State", "Began", "User", "Tier", "Job", "Last"}}
	for _, one := range all {
		rows = append(rows, []string{one.ID, one.State, one.Started.Format("2006-01-02T15:04:05Z"), one.User, one.Tier, one.Job, one.Last})
	}
	var b strings.Builder
	render.Columns(&b, rows, clientStyle(req))
	_, err := io.WriteString(req.Stdout, b.String())
	return err
}

// minIDLength keeps a variable that is empty, or a slip of the finger, from naming the only operation that there is.
const minIDLength = 4

func opByID(all []opOutput, id string) (opOutput, error) {
	found := slices.DeleteFunc(slices.Clone(all), func(one opOutput) bool { return !strings.HasPrefix(one.ID, strings.ToLower(id)) })
	switch len(found) {
	case 0:
		return opOutput{}, fmt.Errorf("no operation %s (see: ops)", id)
	case 1:
		return found[0], nil
	}
	return opOutput{}, fmt.Errorf("%s fits %d operations (see: ops)", id, len(found))
}

func findOp(begun []*ops.Op, id string) *ops.Op {
	for _, op := range begun {
		if op.ID == id {
			return op
		}
	}
	return nil
}

func isFinished(op *ops.Op) bool {
	at, _ := op.Finished()
	return !at.IsZero()
}

func cancelOp(req *router.Request, op *ops.Op) error {
	if isFinished(op) {
		return printNotice(req, "operation %s has ended already", op.ID)
	}
	op.Halt("cancelled by " + req.User.Login)
	return printResult(req, "operation %s on %s ends after what it is about (see: ops %s)", op.ID, op.Job.ID, op.ID)
}

// restoreOrForget registers req.Job again, whose definition an operation has kept, unless somebody has, or forgets the definition.
func (o *opsCommand) restoreOrForget(ctx context.Context, req *router.Request, k ops.SavedJob) error {
	job := req.Job
	if o.forget {
		if err := req.DeleteDefinition(k); err != nil {
			return err
		}
		return printResult(req, "forgot version %d of %s", k.Version, job.ID)
	}
	index, err := restoreIndex(ctx, req, job, k)
	var runs notStoppedError
	switch {
	case errors.As(err, &runs):
		printNotice(req, "%s", runs)
		return req.DeleteDefinition(k)
	case err != nil:
		return err
	}
	outcome, err := req.Operations.Register(ctx, job, k.Definition, index)
	if err != nil {
		return err
	}
	if err := relinkRelease(ctx, req.Cluster, req.SavedDefinitions(), job, k.Definition); err != nil {
		newProgressPrinter(req).printf("warning: %v", err)
	}
	if err := printResult(req, "registered %s again as it was%s", job.ID, evaluationSuffix(outcome)); err != nil {
		return err
	}
	return req.DeleteDefinition(k)
}

// notStoppedError says that a job is not stopped, and that what is kept of it is not needed: it is among its versions.
type notStoppedError string

func (e notStoppedError) Error() string { return string(e) }

// restoreIndex returns the index of a stopped job, or of one with one attempt to reschedule that was to be registered as it
// was. It returns 0 if Nomad has none of this name, and a notStoppedError if it is not stopped.
// It has to be stopped as the operation left it: what is kept must not take the place of something newer, and is the only
// copy of a job that was purged.
func restoreIndex(ctx context.Context, req *router.Request, job backends.Job, k ops.SavedJob) (uint64, error) {
	text, err := req.Cluster.Definition(ctx, job, nil)
	if errors.Is(err, backends.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	is, err := identify(text)
	kept, err2 := identify(k.Definition)
	if err := errors.Join(err, err2); err != nil {
		return 0, err
	}
	switch {
	case is.CreateIndex != kept.CreateIndex:
		state, then := "runs", ""
		if is.Stop {
			state, then = "is stopped", fmt.Sprintf("bring that back: start %s; ", job.ID)
		}
		return 0, fmt.Errorf("what is kept of %s is of a job that was purged since; there is another one of its name, which %s (%sforget what is kept: ops %s --forget)",
			job.ID, state, then, k.ID)
	case !is.Stop && is.Version == k.Version+1 && backends.HasRescheduling(text, k.Definition): // as restart has left it
		return is.JobModifyIndex, nil
	case !is.Stop && is.Version == k.Version:
		return 0, notStoppedError(fmt.Sprintf("%s is not stopped: it is still in version %d", job.ID, is.Version))
	case !is.Stop:
		return 0, notStoppedError(fmt.Sprintf("%s was registered again already, as version %d", job.ID, is.Version))
	case is.Version > k.Version+1:
		return 0, fmt.Errorf("what is kept of %s is version %d, and it was changed since, to version %d that is stopped (bring that back: start %s; forget what is kept: ops %s --forget)",
			job.ID, k.Version, is.Version, job.ID, k.ID)
	}
	return is.JobModifyIndex, nil
}

// identity is what tells versions of jobs, and jobs of one name, apart.
type identity struct {
	Stop, Stable                         bool
	Version, JobModifyIndex, CreateIndex uint64
}

// identify returns the identity of a definition.
func identify(definition json.RawMessage) (is identity, err error) {
	if err = json.Unmarshal(definition, &is); err != nil {
		err = fmt.Errorf("the definition cannot be read: %w", err)
	}
	return is, err
}
