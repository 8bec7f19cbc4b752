package agent

import (
	"cmp"
	"fmt"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// restartTracker applies the restart policy to a task that has exited, and counts its restarts.
type restartTracker struct {
	policy    jobspec.Restart
	onSuccess bool // restart even after exit code 0
	count     int
	since     time.Time
}

func newRestartTracker(jobType string, g jobspec.Group, t jobspec.Task) *restartTracker {
	policy, onSuccess := g.RestartPolicy(jobType)
	if t.Hook != "" {
		onSuccess = t.Sidecar && t.Hook != "poststop"
	}
	return &restartTracker{policy: policy, onSuccess: onSuccess}
}

// restartDecision is the result of a task's exit: a restart after delay, or no restart.
type restartDecision struct {
	restart, failed bool
	delay           time.Duration
	reason          string
}

// decide returns the decision for an exit with this code.
func (r *restartTracker) decide(code int, now time.Time) restartDecision {
	switch {
	case code == 0 && !r.onSuccess:
		return restartDecision{}
	case r.policy.Attempts == 0:
		return restartDecision{failed: true, reason: "Policy allows no restarts"}
	}
	if now.After(r.since.Add(r.policy.Interval)) {
		r.count, r.since = 0, now
	}
	r.count++
	if r.count <= r.policy.Attempts {
		return restartDecision{restart: true, delay: r.policy.Delay, reason: "Restart within policy"}
	}
	if cmp.Or(r.policy.Mode, "fail") == "fail" {
		return restartDecision{failed: true, reason: fmt.Sprintf(
			`Exceeded allowed attempts %d in interval %v and mode is "fail"`, r.policy.Attempts, r.policy.Interval)}
	}
	return restartDecision{
		restart: true, delay: r.since.Add(r.policy.Interval).Sub(now), reason: "Exceeded allowed attempts, applying a delay",
	}
}
