package jobspec

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// CheckModifyIndex returns an error if the job has another modify index than the request enforces. j is nil if the job
// does not exist.
func (j *Registration) CheckModifyIndex(index uint64) error {
	switch {
	case j == nil && index != 0:
		return fmt.Errorf("Enforcing job modify index %d: job does not exist", index)
	case j != nil && index == 0:
		return fmt.Errorf("Enforcing job modify index 0: job already exists")
	case j != nil && index != j.JobModifyIndex:
		return fmt.Errorf("Enforcing job modify index %d: job exists with conflicting job modify index: %d", index,
			j.JobModifyIndex)
	}
	return nil
}

// CheckUpdate returns an error if f cannot be a new version of the job.
func (j *Registration) CheckUpdate(f *api.Job) error {
	parameterized := f.ParameterizedJob != nil && !f.Dispatched
	switch {
	case j == nil && f.Dispatched:
		return fmt.Errorf("job can't be submitted with 'Dispatched' set")
	case j == nil:
	case j.Type != *f.Type:
		return fmt.Errorf("cannot update job from type %q to %q", j.Type, *f.Type)
	case j.Periodic != nil && f.Periodic == nil:
		return fmt.Errorf("cannot update periodic job to being non-periodic")
	case j.Periodic == nil && f.Periodic != nil:
		return fmt.Errorf("cannot update non-periodic job to being periodic")
	case j.ParameterizedJob != nil && !j.Dispatched && !parameterized:
		return fmt.Errorf("cannot update parameterized job to being non-parameterized")
	case (j.ParameterizedJob == nil || j.Dispatched) && parameterized:
		return fmt.Errorf("cannot update non-parameterized job to being parameterized")
	case j.Dispatched != f.Dispatched:
		return fmt.Errorf("field 'Dispatched' is read-only")
	}
	return nil
}

// maxPayloadSize is Nomad's limit for the payload of a dispatch.
const maxPayloadSize = 16 * 1024

// Check returns an error if the parameterized block does not permit this payload or metadata, or requires more.
func (p *ParameterizedJob) Check(payload []byte, meta map[string]string) error {
	switch {
	case p.Payload == "required" && len(payload) == 0:
		return fmt.Errorf("Payload is not provided but required by parameterized job")
	case p.Payload == "forbidden" && len(payload) > 0:
		return fmt.Errorf("Payload provided but forbidden by parameterized job")
	case len(payload) > maxPayloadSize:
		return fmt.Errorf("Payload exceeds maximum size; %d > %d", len(payload), maxPayloadSize)
	}
	var unknown, missing []string
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		if !slices.Contains(p.MetaRequired, k) && !slices.Contains(p.MetaOptional, k) {
			unknown = append(unknown, k)
		}
	}
	for _, k := range p.MetaRequired {
		if _, there := meta[k]; !there {
			missing = append(missing, k)
		}
	}
	switch {
	case unknown != nil:
		return fmt.Errorf("Dispatch request included unpermitted metadata keys: %v", unknown)
	case missing != nil:
		return fmt.Errorf("Dispatch did not provide required meta keys: %v", missing)
	}
	return nil
}
