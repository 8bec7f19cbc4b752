package nomadsim

import (
	"cmp"
	"strconv"
	"time"
)

// evaluation is the stored record of an evaluation. As in Nomad, empty fields are omitted.
type evaluation struct {
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
	FailedTGAllocs             map[string]metrics `json:",omitempty"`
	PlanAnnotations            object             `json:",omitempty"`
	ClassEligibility           map[string]bool    `json:",omitempty"`
	EscapedComputedClass       bool               `json:",omitempty"`
	QueuedAllocations          map[string]int     `json:",omitempty"`
	WaitUntil                  *time.Time         `json:",omitempty"`
	SnapshotIndex              uint64
	CreateIndex, ModifyIndex   uint64
	CreateTime, ModifyTime     int64
}

func (e *evaluation) key() key { return key{e.Namespace, e.ID, e.CreateIndex} }

// metrics is the scheduler's record of a placement or a placement failure.
type metrics struct {
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

// metrics returns the reason of a placement failure.
func (u *Unplaced) metrics(nodes []*node) metrics {
	m := metrics{
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
func (j *job) registerEvaluationID() string {
	return uuid("evaluation", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10))
}

// newEvaluation returns an evaluation with the status complete that changed nothing. names make its ID unique within
// the version.
func (j *job) newEvaluation(trigger, description string, created int64, index uint64, names ...string) *evaluation {
	e := &evaluation{
		ID:        uuid(append([]string{"evaluation", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10)}, names...)...),
		Namespace: j.Namespace, JobID: j.ID, Type: j.Type, Priority: j.Priority, TriggeredBy: trigger, Status: "complete",
		StatusDescription: description, QueuedAllocations: map[string]int{}, SnapshotIndex: index, CreateIndex: index,
		ModifyIndex: index, CreateTime: created, ModifyTime: created,
	}
	if j.deployment != nil {
		e.DeploymentID = j.deployment.ID
	}
	updates := object{}
	for _, g := range j.groups {
		e.QueuedAllocations[g.Name] = j.summary.Summary[g.Name].Queued
		updates[g.Name] = desiredUpdates(0)
	}
	e.PlanAnnotations = object{"DesiredTGUpdates": updates, "PreemptedAllocs": nil}
	return e
}

func desiredUpdates(placed int) object {
	return object{
		"Place": placed, "Canary": 0, "DestructiveUpdate": 0, "Disconnect": 0, "Ignore": 0, "InPlaceUpdate": 0,
		"Migrate": 0, "Preemptions": 0, "Reconnect": 0, "RescheduleLater": 0, "RescheduleNow": 0, "Stop": 0,
	}
}

// describeEvaluations creates the evaluations of a described job: one for the registration of each version, and a
// blocked one if a group is not placed.
func (j *job) describeEvaluations(nodes []*node) {
	for _, v := range j.earlierVersions {
		j.evaluations = append(append(j.evaluations, v.evaluations...), v.registerEvaluation())
		v.evaluations = nil
	}
	first := j.registerEvaluation()
	j.evaluations = append(j.evaluations, first)
	failed, eligible := map[string]metrics{}, map[string]bool{}
	for _, g := range j.groups {
		if g.Unplaced != nil {
			failed[g.Name] = g.Unplaced.metrics(nodes)
			eligible[computedClass] = len(g.Unplaced.ConstraintFiltered) == 0
		}
	}
	if len(failed) == 0 {
		return
	}
	blocked := *first
	blocked.ID = uuid("blocked evaluation", j.Namespace, j.ID, strconv.FormatUint(j.Version, 10))
	blocked.Status, blocked.TriggeredBy = "blocked", "queued-allocs"
	blocked.StatusDescription = "created to place remaining allocations"
	blocked.PreviousEval, blocked.CreateIndex = first.ID, j.planIndex
	blocked.FailedTGAllocs, blocked.ClassEligibility = failed, eligible
	blocked.DeploymentID, blocked.JobModifyIndex = "", 0
	blocked.PlanAnnotations, blocked.QueuedAllocations = nil, nil
	first.BlockedEval, first.FailedTGAllocs = blocked.ID, failed
	j.evaluations = append(j.evaluations, &blocked)
}

// registerEvaluation returns the evaluation that registering this version created.
func (j *job) registerEvaluation() *evaluation {
	trigger := "job-register"
	if j.ParentID != "" && !j.Dispatched {
		trigger = "periodic-job"
	}
	e := j.newEvaluation(trigger, "", j.SubmitTime, j.JobModifyIndex)
	e.JobModifyIndex, e.ModifyIndex = j.JobModifyIndex, j.planIndex
	updates := object{}
	for _, g := range j.groups {
		updates[g.Name] = desiredUpdates(g.Count)
	}
	e.PlanAnnotations["DesiredTGUpdates"] = updates
	return e
}

// addEvaluations adds the evaluations of the description.
func (j *job) addEvaluations(all []Evaluation) {
	for i, spec := range all {
		created := j.SubmitTime
		if !spec.Created.IsZero() {
			created = spec.Created.UnixNano()
		}
		e := j.newEvaluation(spec.TriggeredBy, spec.Description, created, j.planIndex, "more", strconv.Itoa(i))
		e.Status = cmp.Or(spec.Status, e.Status)
		j.evaluations = append(j.evaluations, e)
	}
}
