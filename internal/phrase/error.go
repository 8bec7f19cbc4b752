package phrase

import (
	"errors"
	"fmt"
	"strings"

	"nomadctld/backends"
)

// JobError adds the job's ID or the next step to an error of the cluster. A ChangedError, bare or in a TierError,
// means that nothing was done.
func JobError(job backends.Job, err error) error {
	cause := err
	if tier, ok := err.(*backends.TierError); ok {
		cause = tier.Err
	}
	if _, ok := cause.(*backends.ChangedError); ok {
		return fmt.Errorf("%w; nothing was done (see: history %s)", err, job.ID)
	}
	if errors.Is(err, backends.ErrNotFound) {
		return fmt.Errorf("job %s: %w", job.ID, backends.ErrNotFound)
	}
	rejected, ok := errors.AsType[*backends.RejectedError](err)
	if ok && strings.Contains(rejected.Reason, "active deployment") {
		return fmt.Errorf("%w; wait until the deployment finishes, or fail it (see: deployment %s; fail it: fail %s)",
			err, job.ID, job.ID)
	}
	return err
}

// ChangedError returns the error for a job that somebody else has changed while the command was running.
func ChangedError(now backends.JobDetail) error {
	return fmt.Errorf("%w (see: history %s)", &backends.ChangedError{Job: now.ID, Version: now.Version}, now.ID)
}
