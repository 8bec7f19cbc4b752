package sim

import (
	"cmp"
	"fmt"
	"time"
)

// restartTracker decides what becomes of a task that has ended, and remembers how often it was started anew.
type restartTracker struct {
	policy    Restart
	onSuccess bool // also after an exit code of 0
	count     int
	since     time.Time
}

func newRestartTracker(jobType string, g Group) *restartTracker {
	r := &restartTracker{policy: Restart{Attempts: 2, Interval: 30 * time.Minute, Delay: 15 * time.Second}, onSuccess: true}
	if jobType == "batch" || jobType == "sysbatch" {
		r.policy, r.onSuccess = Restart{Attempts: 3, Interval: 24 * time.Hour, Delay: 15 * time.Second}, false
	}
	if g.Restart != nil {
		r.policy = *g.Restart
	}
	return r
}

// restartDecision is what becomes of a task: a start after delay, an end, or with Failed an end that is a failure.
type restartDecision struct {
	restart, failed bool
	delay           time.Duration
	reason          string
}

// decide judges an end with this exit code.
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
	return restartDecision{restart: true, delay: r.since.Add(r.policy.Interval).Sub(now), reason: "Exceeded allowed attempts, applying a delay"}
}
