package store

import (
	"fmt"

	"nomadctld/internal/nomadsim/jobspec"
)

// ScalingEvent is the record of a request to scale a group.
type ScalingEvent struct {
	Time          int64
	Count         *int64
	PreviousCount int64
	Message       string
	Error         bool
	Meta          map[string]any
	EvalID        *string
	CreateIndex   uint64
}

// maxScalingEvents is the number of events that Nomad keeps for each group.
const maxScalingEvents = 20

func (st *State) StoreScalingEvent(namespace, id, group string, e ScalingEvent) {
	j := *st.Job(namespace, id)
	all := map[string][]ScalingEvent{}
	for name, events := range j.ScalingEvents {
		all[name] = events
	}
	all[group] = append([]ScalingEvent{e}, all[group]...)
	all[group] = all[group][:min(len(all[group]), maxScalingEvents)]
	j.ScalingEvents = all
	st.Jobs = put(st.Jobs, &j, byName)
}

// CheckScale returns an error if the group cannot have this count, or cannot be scaled now.
func (j *Job) CheckScale(g jobspec.Group, count int64, index uint64) error {
	if s := g.Scaling; s != nil {
		if count < int64(s.Min) {
			return jobspec.BadRequest(fmt.Sprintf("group count was less than scaling policy minimum: %d < %d", count, s.Min))
		}
		if count > int64(s.Max) {
			return jobspec.BadRequest(fmt.Sprintf("group count was greater than scaling policy maximum: %d > %d", count, s.Max))
		}
	}
	if all := j.Deployments(); len(all) > 0 && all[0].Active() {
		return jobspec.BadRequest("job scaling blocked due to active deployment")
	}
	if index > 0 {
		return j.CheckModifyIndex(index)
	}
	return nil
}
