package commands

import (
	"errors"
	"slices"
	"time"

	"nomadctld/internal/ops"
	"nomadctld/internal/restart"
	"nomadctld/internal/safego"
)

type opsOutput struct {
	Operations []opOutput `json:"operations" doc:"oldest first"`
}

// opOutput is an operation in the output. Scripts depend on its JSON names.
type opOutput struct {
	ID        string     `json:"id" doc:""`
	Tier      string     `json:"tier" doc:""`
	Namespace string     `json:"namespace" doc:""`
	Job       string     `json:"job" doc:""`
	State     string     `json:"state" doc:"running, ending (after this step), done, cancelled, failed or interrupted"`
	User      string     `json:"user" doc:"login of the user who started it"`
	Started   time.Time  `json:"began" doc:""`
	Finished  *time.Time `json:"ended" doc:"null: not finished"`
	Command   string     `json:"command" doc:"the command that started it"`
	Last      string     `json:"last" doc:"its last message"`

	root string // the job's root ID, which decides who owns the operation
}

// listOps returns the operations of this gateway process, and the interrupted ones of an earlier process, which have a
// saved definition.
func listOps(started []*ops.Op, saved []ops.SavedDefinition) (all []opOutput) {
	for _, op := range started {
		one := opOutput{
			op.ID, op.Job.Tier, op.Job.Namespace, op.Job.ID, "running", op.User, op.Started.UTC(), nil, op.Command,
			op.LastNote().Text, op.Job.Root,
		}
		switch at, err := op.Finished(); {
		case !at.IsZero():
			at = at.UTC()
			one.Finished, one.State = &at, "done"
			if err != nil {
				one.State, one.Last = "failed", err.Error()
				if errors.Is(err, ops.ErrHalted) {
					one.State = "cancelled"
				}
			}
			// After a panic, the error does not contain the next step.
			var caught *safego.PanicError
			isSaved := slices.ContainsFunc(saved, func(s ops.SavedDefinition) bool { return s.ID == op.ID })
			if errors.As(err, &caught) && isSaved {
				one.Last += "; bring it back: " + restart.RestoreCommand(op.ID)
			}
		case op.HaltReason() != nil:
			one.State = "ending"
		}
		all = append(all, one)
	}
	for _, s := range saved {
		if !slices.ContainsFunc(all, func(one opOutput) bool { return one.ID == s.ID }) {
			all = append(all, opOutput{
				s.ID, s.Job.Tier, s.Job.Namespace, s.Job.ID, "interrupted", s.User, s.Time, nil, s.Command,
				"bring it back: " + restart.RestoreCommand(s.ID), s.Job.Root,
			})
		}
	}
	slices.SortStableFunc(all, func(a, b opOutput) int { return a.Started.Compare(b.Started) })
	return all
}
