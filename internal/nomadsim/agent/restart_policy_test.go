package agent

import (
	"testing"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

func TestRestartTracker_Decide(t *testing.T) {
	start := time.Now()
	policy := jobspec.Restart{Attempts: 2, Interval: time.Minute, Delay: time.Second}
	delayed := policy
	delayed.Mode = "delay"
	type exit struct {
		after   time.Duration
		code    int
		restart bool
		delay   time.Duration
	}
	for name, tc := range map[string]struct {
		jobType string
		policy  jobspec.Restart
		exits   []exit
	}{
		"fails at the third exit": {"service", policy, []exit{
			{0, 1, true, time.Second}, {time.Second, 0, true, time.Second}, {2 * time.Second, 1, false, 0},
		}},
		"counts again after the interval": {"service", policy, []exit{
			{0, 1, true, time.Second}, {time.Second, 1, true, time.Second}, {2 * time.Minute, 1, true, time.Second},
		}},
		"waits for the interval": {"service", delayed, []exit{
			{0, 1, true, time.Second}, {0, 1, true, time.Second}, {10 * time.Second, 1, true, 50 * time.Second},
		}},
		"batch succeeds":  {"batch", policy, []exit{{0, 1, true, time.Second}, {time.Second, 0, false, 0}}},
		"without retries": {"service", jobspec.Restart{Interval: time.Minute}, []exit{{0, 1, false, 0}}},
	} {
		r := newRestartTracker(tc.jobType, jobspec.Group{Restart: &tc.policy}, jobspec.Task{})
		for i, e := range tc.exits {
			d := r.decide(e.code, start.Add(e.after))
			if d.restart != e.restart || d.delay != e.delay || d.failed == (d.restart || e.code == 0) {
				t.Errorf("%s, exit %d: got %+v, want restart %v after %v", name, i+1, d, e.restart, e.delay)
			}
		}
	}
}
