package store

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

// maxScalingEvents is the number of events that Nomad retains for each group.
const maxScalingEvents = 20

// StoreScalingEvent adds an event to a group, and drops the oldest one if there are too many.
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
