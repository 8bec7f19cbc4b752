package jobspec

import (
	"cmp"
	"math"
	"time"
)

func (r *Restart) detail() object {
	return object{
		"Attempts": r.Attempts, "Delay": r.Delay, "Interval": r.Interval, "Mode": cmp.Or(r.Mode, "fail"),
		"RenderTemplates": false,
	}
}

func (r *Reschedule) detail() object {
	return object{
		"Attempts": r.Attempts, "Delay": r.Delay, "DelayFunction": cmp.Or(r.DelayFunction, "constant"),
		"Interval": r.Interval, "MaxDelay": cmp.Or(r.MaxDelay, time.Hour), "Unlimited": r.Unlimited,
	}
}

// Detail returns the update block. A nil u means Nomad's defaults.
func (u *Update) Detail() object {
	u = cmp.Or(u, &Update{})
	return object{
		"AutoPromote": u.AutoPromote, "AutoRevert": u.AutoRevert, "Canary": u.Canary, "HealthCheck": "checks",
		"HealthyDeadline": cmp.Or(u.HealthyDeadline, 5*time.Minute), "MaxParallel": cmp.Or(u.MaxParallel, 1),
		"MinHealthyTime":   cmp.Or(u.MinHealthyTime, 10*time.Second),
		"ProgressDeadline": cmp.Or(u.ProgressDeadline, DefaultProgressDeadline),
		"Stagger":          30 * time.Second,
	}
}

func (d *Disconnect) detail() any {
	if d == nil {
		return nil
	}
	return object{"LostAfter": d.LostAfter, "Reconcile": "best_score", "Replace": !d.NoReplace, "StopOnClientAfter": nil}
}

func (s *Scaling) detail(j *Registration, group string) any {
	if s == nil {
		return nil
	}
	return object{
		"ID": UUID("scaling policy", j.Namespace, j.ID, group), "Type": "horizontal", "Min": s.Min, "Max": s.Max,
		"Enabled": !s.Disabled && !j.Stop, "Policy": nil, "CreateIndex": j.CreateIndex, "ModifyIndex": j.JobModifyIndex,
		"Target": object{"Namespace": j.Namespace, "Job": j.ID, "Group": group},
	}
}

// RescheduleDelay returns the reschedule delay of a failed allocation after this number of reschedules. The fibonacci
// function is treated as exponential.
func (g Group) RescheduleDelay(jobType string, before int) time.Duration {
	if g.Reschedule == nil && jobType != "service" {
		return 5 * time.Second
	}
	r := cmp.Or(g.Reschedule, &Reschedule{Delay: 30 * time.Second, DelayFunction: "exponential"})
	if cmp.Or(r.DelayFunction, "constant") == "constant" {
		return r.Delay
	}
	return min(time.Duration(float64(r.Delay)*math.Pow(2, float64(before))), cmp.Or(r.MaxDelay, time.Hour))
}

// PermitsRescheduling reports whether the group's policy permits rescheduling.
func (g Group) PermitsRescheduling(jobType string) bool {
	if g.Reschedule == nil {
		return jobType == "service" || jobType == "batch"
	}
	return g.Reschedule.Unlimited || g.Reschedule.Attempts > 0
}

// MayReplace reports whether an allocation on a disconnected node may be replaced.
func (g Group) MayReplace() bool { return g.Disconnect == nil || !g.Disconnect.NoReplace }

// DefaultProgressDeadline is Nomad's default for progress_deadline.
const DefaultProgressDeadline = 10 * time.Minute

// RestartPolicy returns the restart policy of the group. onSuccess reports whether it also applies to exit code 0.
func (g Group) RestartPolicy(jobType string) (policy Restart, onSuccess bool) {
	policy, onSuccess = Restart{Attempts: 2, Interval: 30 * time.Minute, Delay: 15 * time.Second}, true
	if jobType == "batch" || jobType == "sysbatch" {
		policy, onSuccess = Restart{Attempts: 3, Interval: 24 * time.Hour, Delay: 15 * time.Second}, false
	}
	if g.Restart != nil {
		policy = *g.Restart
	}
	return policy, onSuccess
}
