// Package audit writes the audit log: one JSON object per line for each login, disconnect, start of a command and end
// of a command. It owns the audit file, and finds the programs that an earlier gateway left running. It makes no
// decisions.
package audit

import (
	"time"

	"nomadctld/internal/escape"
)

// Kind is the kind of an event.
type Kind string

// A command has a start event before it does anything, and an end event when it has finished. Both have the same
// Session.
const (
	Start        Kind = "start"         // a command is about to run
	End          Kind = "end"           // a command has finished
	Login        Kind = "login"         // a client proved its key
	LoginRefused Kind = "login_refused" // no key of a user was proven, or a limit was reached; or a summary of these
	Disconnect   Kind = "disconnect"    // an authenticated connection was closed
	Killed       Kind = "killed"        // the gateway killed a program that was left running
	Exited       Kind = "exited"        // a program without an end event was found to have exited
	Reload       Kind = "reload"        // the configuration was loaded again; with an error, it was not applied
)

// Event is one line of the audit log. Its strings may be untrusted; Log escapes them.
type Event struct {
	Kind       Kind      `json:"event"`
	Time       time.Time `json:"time"`       // UTC; in an end event, the start of the command
	Connection string    `json:"connection"` // the same for all sessions of a connection
	Session    string    `json:"session,omitempty"`
	User       string    `json:"user"` // the login; in LoginRefused, as claimed
	Key        string    `json:"key"`  // fingerprint of its key
	// of the login; nil: it has used a key
	Certificate *Certificate `json:"certificate,omitempty"`
	Remote      string       `json:"remote"` // address and port
	Line        string       `json:"line"`   // the command line, without secrets
	Command     []string     `json:"command"`
	Tier        string       `json:"tier,omitempty"`
	Namespace   string       `json:"namespace,omitempty"`
	Job         string       `json:"job,omitempty"`
	Allocation  string       `json:"allocation,omitempty"`
	Task        string       `json:"task,omitempty"`
	Group       string       `json:"group,omitempty"`
	// NOMADCTLD_SESSION of the program that the command runs in the task
	Program string `json:"program,omitempty"`

	Confirmed   string   `json:"confirmed,omitempty"`   // response to a prompt: yes, no, or unasked (-y, no terminal)
	Evaluations []string `json:"evaluations,omitempty"` // their IDs, in the order of the changes
	Deployment  string   `json:"deployment,omitempty"`  // ID of the last deployment
	Operation   string   `json:"operation,omitempty"`   // ID of the background operation

	Cause   string   `json:"cause,omitempty"`   // of a reload
	Changes []string `json:"changes,omitempty"` // names of the settings and files that a reload changed

	Decision Decision `json:"decision,omitempty"`
	Error    string   `json:"error,omitempty"`
	ExitCode int      `json:"exit_code"`        // only in end events
	Duration float64  `json:"duration_seconds"` // only in end events
}

// encode returns the event as one line, with the fields of its kind.
func (e Event) encode() ([]byte, error) {
	type event Event
	// A nil field of the outer struct hides the embedded field with the same key. omitempty then drops it.
	type startFields struct {
		event
		ExitCode *int     `json:"exit_code,omitempty"`
		Duration *float64 `json:"duration_seconds,omitempty"`
	}
	type otherFields struct {
		startFields
		Line    string   `json:"line,omitempty"`
		Command []string `json:"command,omitempty"`
	}
	type reloadFields struct {
		otherFields
		Connection string `json:"connection,omitempty"`
		User       string `json:"user,omitempty"`
		Key        string `json:"key,omitempty"`
		Remote     string `json:"remote,omitempty"`
	}
	var fields any
	switch e.Kind {
	case Reload:
		fields = reloadFields{otherFields: otherFields{startFields: startFields{event: event(e)}}}
	case End:
		fields = event(e)
	case Start:
		fields = startFields{event: event(e)}
	default:
		fields = otherFields{startFields: startFields{event: event(e)}, Line: e.Line, Command: e.Command}
	}
	line, err := escape.JSON(fields, "")
	return append(line, '\n'), err
}

// encodeShort returns an end event without the fields that its start event already has, for a disk that is too full for
// the complete event.
func (e Event) encodeShort() ([]byte, error) {
	type event Event
	type shortFields struct {
		event
		Line        *string  `json:"line,omitempty"`
		Command     *string  `json:"command,omitempty"`
		Certificate *string  `json:"certificate,omitempty"`
		Evaluations []string `json:"evaluations,omitempty"`
	}
	e.Error = truncate(e.Error, maxShortError)
	line, err := escape.JSON(shortFields{
		event: event(e), Evaluations: e.Evaluations[:min(len(e.Evaluations), maxShortEvaluations)],
	}, "")
	return append(line, '\n'), err
}

// Decision is the result of authorization.
type Decision string

// Only Denied is about rights, so that an alert on it does not fire when a cluster is down.
const (
	Allowed Decision = "allowed" // the command ran; its exit code is its result
	Denied  Decision = "denied"  // the user may not do this, or owns nothing that matches
	Failed  Decision = "failed"  // it could not be done: a tier that does not respond, an ambiguous selector, a limit
	Invalid Decision = "invalid" // the command line is wrong, such as one with a bad flag
)
