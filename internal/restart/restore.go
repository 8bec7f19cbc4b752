package restart

import (
	"context"
	"errors"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/jobrelease"
	"nomadctld/internal/ops"
)

// RestoreCommand returns the command that registers the definition saved by an operation.
func RestoreCommand(id string) string { return "ops --restore " + id }

// NotStoppedError is returned if a job is not stopped. Its saved definition is not needed then, because Nomad has it.
type NotStoppedError string

func (e NotStoppedError) Error() string { return string(e) }

// RestoreIndex returns the JobModifyIndex of the job if the saved definition may replace it: if the operation has left
// the job stopped, or registered with one reschedule attempt. It returns 0 if Nomad has no job with this ID, and a
// NotStoppedError if the job is not stopped. If the job was changed and stopped, or purged and registered again,
// it returns another error: the saved definition must not replace a newer version, and must not be deleted, because it
// may be the only copy of a purged job.
func RestoreIndex(
	ctx context.Context, cluster backends.Cluster, job backends.Job, saved ops.SavedDefinition,
) (uint64, error) {
	text, err := cluster.Definition(ctx, job, nil)
	if errors.Is(err, backends.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	now, err := jobrelease.Identify(text)
	then, err2 := jobrelease.Identify(saved.Definition)
	if err := errors.Join(err, err2); err != nil {
		return 0, err
	}
	switch {
	case now.CreateIndex != then.CreateIndex:
		state, hint := "is running", ""
		if now.Stop {
			state, hint = "is stopped", fmt.Sprintf("start that job: start %s; ", job.ID)
		}
		return 0, fmt.Errorf("the saved definition of %s is of a job that was purged; another job with its name %s "+
			"(%sdelete the saved definition: ops --forget %s)", job.ID, state, hint, saved.ID)
	case !now.Stop && now.Version == saved.Version+1 && backends.IsRescheduleVariant(text, saved.Definition):
		return now.JobModifyIndex, nil // restart has registered it with one reschedule attempt
	case !now.Stop && now.Version == saved.Version:
		return 0, NotStoppedError(fmt.Sprintf("%s is not stopped: it is still at version %d", job.ID, now.Version))
	case !now.Stop:
		return 0, NotStoppedError(fmt.Sprintf("%s was already registered again, as version %d", job.ID, now.Version))
	case now.Version > saved.Version+1:
		return 0, fmt.Errorf("the saved definition of %s is version %d, but the job was changed to version %d and stopped "+
			"(start that version: start %s; delete the saved definition: ops --forget %s)",
			job.ID, saved.Version, now.Version, job.ID, saved.ID)
	}
	return now.JobModifyIndex, nil
}
