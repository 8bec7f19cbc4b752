package store

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// Evaluation is the stored record of an evaluation. As in Nomad, empty fields are omitted.
type Evaluation struct {
	ID, Namespace, JobID, Type string
	Priority                   int
	TriggeredBy                string
	Status                     string
	StatusDescription          string             `json:",omitempty"`
	JobModifyIndex             uint64             `json:",omitempty"`
	NodeID                     string             `json:",omitempty"`
	NodeModifyIndex            uint64             `json:",omitempty"`
	DeploymentID               string             `json:",omitempty"`
	NextEval                   string             `json:",omitempty"`
	PreviousEval               string             `json:",omitempty"`
	BlockedEval                string             `json:",omitempty"`
	FailedTGAllocs             map[string]Metrics `json:",omitempty"`
	PlanAnnotations            object             `json:",omitempty"`
	ClassEligibility           map[string]bool    `json:",omitempty"`
	EscapedComputedClass       bool               `json:",omitempty"`
	QueuedAllocations          map[string]int     `json:",omitempty"`
	WaitUntil                  *time.Time         `json:",omitempty"`
	SnapshotIndex              uint64
	CreateIndex, ModifyIndex   uint64
	CreateTime, ModifyTime     int64
}

func (e *Evaluation) key() key { return key{e.Namespace, e.ID, e.CreateIndex} }

// Metrics is the scheduler's record of a placement or a placement failure.
type Metrics struct {
	NodesEvaluated, NodesFiltered, NodesInPool, NodesExhausted int
	NodesAvailable                                             map[string]int
	NodePool                                                   string
	ConstraintFiltered, DimensionExhausted                     map[string]int
	ClassFiltered, ClassExhausted                              map[string]int
	QuotaExhausted                                             []string
	ResourcesExhausted                                         map[string]object
	Scores                                                     map[string]float64
	ScoreMetaData                                              []object
	AllocationTime                                             int64
	CoalescedFailures                                          int
}

// FailureMetrics returns the reason of a placement failure.
func FailureMetrics(u *jobspec.Unplaced, nodes []*Node) Metrics {
	m := Metrics{
		NodesEvaluated: len(nodes), NodesInPool: len(nodes), NodesAvailable: available(nodes), NodePool: "default",
		AllocationTime: 9083,
	}
	if len(u.ConstraintFiltered) > 0 {
		m.ConstraintFiltered = u.ConstraintFiltered
	}
	if len(u.DimensionExhausted) > 0 {
		m.DimensionExhausted = u.DimensionExhausted
	}
	for _, n := range u.ConstraintFiltered {
		m.NodesFiltered += n
	}
	for _, n := range u.DimensionExhausted {
		m.NodesExhausted += n
	}
	return m
}

// registerEvaluationID returns the ID of the evaluation that registering this version created.
func (j *Job) registerEvaluationID() string {
	return jobspec.UUID("evaluation", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10))
}

// newEvaluation returns an evaluation with the status complete that changed nothing. names make its ID unique within
// the version.
func (j *Job) newEvaluation(trigger, description string, created int64, index uint64, names ...string) *Evaluation {
	e := &Evaluation{
		ID: jobspec.UUID(append([]string{"evaluation", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10)},
			names...)...),
		Namespace: j.Namespace, JobID: j.ID, Type: j.Type, Priority: j.Priority, TriggeredBy: trigger, Status: "complete",
		StatusDescription: description, QueuedAllocations: map[string]int{}, SnapshotIndex: index, CreateIndex: index,
		ModifyIndex: index, CreateTime: created, ModifyTime: created,
	}
	if j.Deployment != nil {
		e.DeploymentID = j.Deployment.ID
	}
	updates := object{}
	for _, g := range j.Groups {
		e.QueuedAllocations[g.Name] = j.Summary.Summary[g.Name].Queued
		updates[g.Name] = DesiredUpdates(0)
	}
	e.PlanAnnotations = object{"DesiredTGUpdates": updates, "PreemptedAllocs": nil}
	return e
}

// DesiredUpdates returns the plan annotations of a group with this number of placements and no other changes.
func DesiredUpdates(placed int) object {
	return object{
		"Place": placed, "Canary": 0, "DestructiveUpdate": 0, "Disconnect": 0, "Ignore": 0, "InPlaceUpdate": 0,
		"Migrate": 0, "Preemptions": 0, "Reconnect": 0, "RescheduleLater": 0, "RescheduleNow": 0, "Stop": 0,
	}
}

// describeEvaluations creates the evaluations of a described job: one for the registration of each version, and a
// blocked one if a group is not placed.
func (j *Job) describeEvaluations(nodes []*Node) {
	for _, v := range j.EarlierVersions {
		j.Evaluations = append(append(j.Evaluations, v.Evaluations...), v.registerEvaluation())
		v.Evaluations = nil
	}
	first := j.registerEvaluation()
	j.Evaluations = append(j.Evaluations, first)
	failed, eligible := map[string]Metrics{}, map[string]bool{}
	for _, g := range j.Groups {
		if g.Unplaced != nil {
			failed[g.Name] = FailureMetrics(g.Unplaced, nodes)
			eligible[ComputedClass] = len(g.Unplaced.ConstraintFiltered) == 0
		}
	}
	if len(failed) == 0 {
		return
	}
	blocked := *first
	blocked.ID = jobspec.UUID("blocked evaluation", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10))
	blocked.Status, blocked.TriggeredBy = "blocked", "queued-allocs"
	blocked.StatusDescription = "created to place remaining allocations"
	blocked.PreviousEval, blocked.CreateIndex = first.ID, j.planIndex
	blocked.FailedTGAllocs, blocked.ClassEligibility = failed, eligible
	blocked.DeploymentID, blocked.JobModifyIndex = "", 0
	blocked.PlanAnnotations, blocked.QueuedAllocations = nil, nil
	first.BlockedEval, first.FailedTGAllocs = blocked.ID, failed
	j.Evaluations = append(j.Evaluations, &blocked)
}

// registerEvaluation returns the evaluation that registering this version created.
func (j *Job) registerEvaluation() *Evaluation {
	trigger := "job-register"
	if j.ParentID != "" && !j.Dispatched {
		trigger = "periodic-job"
	}
	e := j.newEvaluation(trigger, "", j.SubmitTime, j.JobModifyIndex)
	e.JobModifyIndex, e.ModifyIndex = j.JobModifyIndex, j.planIndex
	updates := object{}
	for _, g := range j.Groups {
		updates[g.Name] = DesiredUpdates(g.Count)
	}
	e.PlanAnnotations["DesiredTGUpdates"] = updates
	return e
}

// addEvaluations adds the evaluations of the description.
func (j *Job) addEvaluations(all []jobspec.Evaluation) {
	for i, spec := range all {
		created := j.SubmitTime
		if !spec.Created.IsZero() {
			created = spec.Created.UnixNano()
		}
		e := j.newEvaluation(spec.TriggeredBy, spec.Description, created, j.planIndex, "more", strconv.Itoa(i))
		e.Status = cmp.Or(spec.Status, e.Status)
		j.Evaluations = append(j.Evaluations, e)
	}
}

// NewPendingEvaluation returns a pending evaluation of the job.
func (j *Job) NewPendingEvaluation(trigger string, index, jobModified uint64) *Evaluation {
	now := time.Now().UnixNano()
	return &Evaluation{
		ID:        jobspec.UUID("evaluation", j.Namespace, j.ID, trigger, strconv.FormatUint(index, 10)),
		Namespace: j.Namespace, JobID: j.ID, Type: j.Type, Priority: j.Priority, TriggeredBy: trigger, Status: "pending",
		JobModifyIndex: jobModified, CreateIndex: index, ModifyIndex: index, CreateTime: now, ModifyTime: now,
	}
}

// StoreEvaluation stores a new or changed evaluation and updates the status of its job.
func (st *State) StoreEvaluation(e *Evaluation) {
	st.Evaluations = put(st.Evaluations, e, byCreation)
	before := st.Job(e.Namespace, e.JobID)
	if before == nil {
		return
	}
	j := *before
	j.Evaluations = append(slices.DeleteFunc(slices.Clone(j.Evaluations),
		func(old *Evaluation) bool { return old.ID == e.ID }), e)
	j.sortEvaluations()
	st.StoreJob(&j, e.ModifyIndex)
}

// CancelFollowup cancels the follow-up evaluation of an unknown allocation whose client has reported again. Nomad
// does that even for an evaluation that was processed.
func (st *State) CancelFollowup(a *Allocation) {
	if n := len(a.StatusHistory); n == 0 || a.StatusHistory[n-1].Value != "unknown" {
		return
	}
	if e := st.EvaluationByID(a.FollowupEvalID); e != nil {
		canceled := *e
		canceled.Status, canceled.StatusDescription = "canceled", "allocs reconnected"
		canceled.ModifyIndex = st.NextIndex(TableEvaluations)
		st.StoreEvaluation(&canceled)
	}
}

func (e *Evaluation) terminal() bool { return e.Status != "pending" && e.Status != "blocked" }

// EvaluationByID returns an evaluation, or nil if there is none.
func (st *State) EvaluationByID(id string) *Evaluation {
	i := slices.IndexFunc(st.Evaluations, func(e *Evaluation) bool { return e.ID == id })
	if i < 0 {
		return nil
	}
	return st.Evaluations[i]
}
