package metrics

import "time"

// UnknownCommand is the label of command lines without the name of a command.
const UnknownCommand = "unknown"

// CommandStarted counts a running command, which must be the name of a registered command. Call finished once, when it
// has finished.
func (r *Recorder) CommandStarted(command string) (finished func()) {
	if r == nil {
		return func() {}
	}
	running := r.sessions.WithLabelValues(command)
	running.Inc()
	return running.Dec
}

// CommandFinished counts a finished command. command is the name of a registered command or UnknownCommand. decision is
// that of the audit log.
func (r *Recorder) CommandFinished(command, decision string, took time.Duration) {
	if r == nil {
		return
	}
	r.commands.WithLabelValues(command, decision).Inc()
	r.commandDuration.WithLabelValues(command).Observe(took.Seconds())
}
