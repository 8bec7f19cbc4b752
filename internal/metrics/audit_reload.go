package metrics

import "time"

// Outcomes of a reload.
const (
	success = "success"
	failure = "failure"
)

// AuditEventLost counts an event that could not be written to the audit log.
func (r *Recorder) AuditEventLost() {
	if r != nil {
		r.auditLost.Inc()
	}
}

// AuditRefusedCommand counts a command that did not run because its start event could not be written.
func (r *Recorder) AuditRefusedCommand() {
	if r != nil {
		r.auditRefused.Inc()
	}
}

// Started records that the configuration was loaded when the gateway started.
func (r *Recorder) Started() {
	if r != nil {
		r.setLoaded(true)
	}
}

// Reloaded counts a reload of the configuration. err is not nil if the earlier configuration stays in effect.
func (r *Recorder) Reloaded(err error) {
	if r == nil {
		return
	}
	outcome := success
	if err != nil {
		outcome = failure
	}
	r.reloads.WithLabelValues(outcome).Inc()
	r.setLoaded(err == nil)
}

func (r *Recorder) setLoaded(ok bool) {
	if !ok {
		r.reloadSuccessful.Set(0)
		return
	}
	r.reloadSuccessful.Set(1)
	r.reloadTime.Set(float64(time.Now().UnixNano()) / float64(time.Second))
}
