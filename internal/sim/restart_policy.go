package sim

import (
	"cmp"
	"fmt"
	"time"
)

// restarts decides what becomes of a task that has ended, and remembers how often it was started anew.
type restarts struct {
	policy  Restart
	success bool // also after an exit code of 0
	count   int
	since   time.Time
}

func newRestarts(jobType string, g Group) *restarts {
	r := &restarts{policy: Restart{Attempts: 2, Interval: 30 * time.Minute, Delay: 15 * time.Second}, success: true}
	if jobType == "batch" || jobType == "sysbatch" {
		r.policy, r.success = Restart{Attempts: 3, Interval: 24 * time.Hour, Delay: 15 * time.Second}, false
	}
	if g.Restart != nil {
		r.policy = *g.Restart
	}
	return r
}

// verdict is what becomes of a task: a start after delay, an end, or with Failed an end that is a failure.
type verdict struct {
	again, failed bool
	delay         time.Duration
	reason        string
}

// after judges an end with this exit code.
func (r *restarts) after(code int, now time.Time) verdict {
	switch {
	case code == 0 && !r.success:
		return verdict{}
	case r.policy.Attempts == 0:
		return verdict{failed: true, reason: "Policy allows no restarts"}
	}
	if now.After(r.since.Add(r.policy.Interval)) {
		r.count, r.since = 0, now
	}
	r.count++
	if r.count <= r.policy.Attempts {
		return verdict{again: true, delay: r.policy.Delay, reason: "Restart within policy"}
	}
	if cmp.Or(r.policy.Mode, "fail") == "fail" {
		return verdict{failed: true, reason: fmt.Sprintf(
			`Exceeded allowed attempts %d in interval %v and mode is "fail"`, r.policy.Attempts, r.policy.Interval)}
	}
	return verdict{again: true, delay: r.since.Add(r.policy.Interval).Sub(now), reason: "Exceeded allowed attempts, applying a delay"}
}
