package jobrelease

import (
	"encoding/json"
	"fmt"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
)

// Identity identifies a version of a job. Jobs that were purged and registered again differ in CreateIndex.
type Identity struct {
	Stop, Stable                         bool
	Version, JobModifyIndex, CreateIndex uint64
}

// Identify returns the Identity of a definition.
func Identify(definition json.RawMessage) (id Identity, err error) {
	if err = json.Unmarshal(definition, &id); err != nil {
		err = fmt.Errorf("the definition cannot be read: %w", err)
	}
	return id, err
}

// CheckUnchanged returns an error if definition is stopped or does not have the JobModifyIndex of job.
func CheckUnchanged(job backends.JobDetail, definition json.RawMessage) error {
	id, err := Identify(definition)
	if err != nil {
		return fmt.Errorf("%s: %w", job.ID, err)
	}
	if id.Stop || id.JobModifyIndex != job.ModifyIndex {
		return phrase.JobError(job.Job, &backends.ChangedError{Job: job.ID, Version: id.Version})
	}
	return nil
}
