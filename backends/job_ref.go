package backends

// JobRef identifies a job, and the job that decides who owns it. Rights are decided for a JobRef.
type JobRef struct {
	Tier      string `json:"tier"`
	Namespace string `json:"namespace"`
	ID        string `json:"id"`
	Root      string `json:"root"` // see Job.Root
}

// Ref returns what identifies the job.
func (j Job) Ref() JobRef { return JobRef{j.Tier, j.Namespace, j.ID, j.Root} }

// JobRef returns what identifies the allocation's job.
func (a Allocation) JobRef() JobRef { return JobRef{a.Tier, a.Namespace, a.JobID, a.Root} }
