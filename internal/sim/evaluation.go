package sim

import "strconv"

// evaluation is an evaluation as it is stored and listed: Nomad leaves out what is empty.
type evaluation struct {
	ID, Namespace, JobID, Type string
	Priority                   int
	TriggeredBy                string
	Status                     string
	StatusDescription          string             `json:",omitempty"`
	JobModifyIndex             uint64             `json:",omitempty"`
	DeploymentID               string             `json:",omitempty"`
	PreviousEval               string             `json:",omitempty"`
	BlockedEval                string             `json:",omitempty"`
	FailedTGAllocs             map[string]metrics `json:",omitempty"`
	PlanAnnotations            object             `json:",omitempty"`
	ClassEligibility           map[string]bool    `json:",omitempty"`
	QueuedAllocations          map[string]int     `json:",omitempty"`
	SnapshotIndex              uint64
	CreateIndex, ModifyIndex   uint64
	CreateTime, ModifyTime     int64
}

func (e *evaluation) key() key { return key{e.Namespace, e.ID, e.CreateIndex} }

// metrics says how the scheduler came to place, or not to place, an allocation.
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

// metrics says why nothing more of a group can be placed.
func (u *Unplaced) metrics(nodes []*node) metrics {
	m := metrics{
		NodesEvaluated: len(nodes), NodesInPool: len(nodes), NodesAvailable: available(nodes), NodePool: "default",
		ConstraintFiltered: u.ConstraintFiltered, DimensionExhausted: u.DimensionExhausted, AllocationTime: 9083,
	}
	for _, n := range u.ConstraintFiltered {
		m.NodesFiltered += n
	}
	for _, n := range u.DimensionExhausted {
		m.NodesExhausted += n
	}
	return m
}

// evaluate writes down the evaluations that led to the job's state: the one of its registration and, when a group
// is not placed, the blocked one that waits to place the rest. The indexes are those of both steps.
func (j *job) evaluate(nodes []*node, registered, planned uint64) {
	trigger := "job-register"
	if j.ParentID != "" && !j.Dispatched {
		trigger = "periodic-job"
	}
	version := strconv.FormatUint(j.Version, 10)
	first := &evaluation{
		ID: uuid("evaluation", j.Namespace, j.ID, version), Namespace: j.Namespace, JobID: j.ID, Type: j.Type,
		Priority: j.Priority, TriggeredBy: trigger, Status: "complete", JobModifyIndex: j.JobModifyIndex,
		QueuedAllocations: map[string]int{}, SnapshotIndex: registered, CreateIndex: registered, ModifyIndex: planned,
		CreateTime: j.SubmitTime, ModifyTime: j.SubmitTime,
	}
	if j.deployment != nil {
		first.DeploymentID = j.deployment.ID
	}
	updates, failed, eligible := object{}, map[string]metrics{}, map[string]bool{}
	for _, g := range j.groups {
		first.QueuedAllocations[g.Name] = j.summary.Summary[g.Name].Queued
		updates[g.Name] = object{
			"Place": g.Count, "Canary": 0, "DestructiveUpdate": 0, "Disconnect": 0, "Ignore": 0, "InPlaceUpdate": 0,
			"Migrate": 0, "Preemptions": 0, "Reconnect": 0, "RescheduleLater": 0, "RescheduleNow": 0, "Stop": 0,
		}
		if g.Unplaced != nil {
			failed[g.Name] = g.Unplaced.metrics(nodes)
			eligible["v1:16605075123686014587"] = len(g.Unplaced.ConstraintFiltered) == 0
		}
	}
	first.PlanAnnotations = object{"DesiredTGUpdates": updates, "PreemptedAllocs": nil}
	if len(failed) == 0 {
		j.evaluations = []*evaluation{first}
		return
	}
	blocked := *first
	blocked.ID = uuid("blocked evaluation", j.Namespace, j.ID, version)
	blocked.Status, blocked.TriggeredBy = "blocked", "queued-allocs"
	blocked.StatusDescription = "created to place remaining allocations"
	blocked.PreviousEval, blocked.CreateIndex = first.ID, planned
	blocked.FailedTGAllocs, blocked.ClassEligibility = failed, eligible
	blocked.DeploymentID, blocked.JobModifyIndex = "", 0
	blocked.PlanAnnotations, blocked.QueuedAllocations = nil, nil
	first.BlockedEval, first.FailedTGAllocs = blocked.ID, failed
	j.evaluations = []*evaluation{&blocked, first} // by status: blocked before complete
}
