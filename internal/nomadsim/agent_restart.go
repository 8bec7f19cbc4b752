package nomadsim

import (
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// restartTasks stops tasks and starts them again one step later.
func (ag *agents) restartTasks(st *state, old *allocation, tasks []jobspec.Task, reason string) {
	if len(tasks) == 0 {
		return
	}
	now := time.Now()
	ag.applyFailNext(old)
	st.updateAllocation(old, func(a *allocation) {
		for _, t := range tasks {
			signaled := jobspec.NewEvent(now, "Restart Signaled", reason, map[string]string{"restart_reason": reason})
			signaled.RestartReason = reason
			events := []jobspec.Event{signaled}
			if a.TaskStates[t.Name].State == "running" {
				events = append(events, sigkillEvent(now, t))
			}
			again := jobspec.NewEvent(now, "Restarting", "Task restarting in 0s",
				map[string]string{"restart_reason": "", "start_delay": "0"})
			a.updateTask(t.Name, func(s *taskState) {
				s.State, s.Failed, s.FinishedAt, s.LastRestart = "pending", false, nil, stamp(now)
				s.Restarts++
			}, append(events, again)...)
		}
		a.deriveStatus()
	})
	for _, t := range tasks {
		st.afterStep(func(st *state) { ag.restartTask(st, old.ID, t) }, ag.killTasks(old.ID, t.Name)...)
	}
}
