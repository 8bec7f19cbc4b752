// Package audit records what users asked of the gateway and what came of it, one JSON object a line: logins, commands
// before they run and when they are over, and disconnects. It owns the audit file. It decides nothing.
package audit

import (
	"time"

	"nomadctld/internal/escape"
)

// Kind is what an event records.
type Kind string

// A command has a start event before it does anything and an end event when it is over, joined by Event.Session.
const (
	Start        Kind = "start"         // a command is about to run
	End          Kind = "end"           // a command has finished
	Login        Kind = "login"         // a client proved its key
	LoginRefused Kind = "login_refused" // a client failed to prove a key that some user has, or offered only unknown keys
	Disconnect   Kind = "disconnect"    // a connection that had logged in was closed
	Killed       Kind = "killed"        // the gateway killed a program whose session had no end event
	Exited       Kind = "exited"        // a program whose session had no end event was not running any more
)

// Event is one line of the audit log. Every string is as it came from the client or the cluster; Log escapes what could harm.
type Event struct {
	Kind       Kind      `json:"event"`
	Time       time.Time `json:"time"`       // UTC; of an end event, when the command started
	Connection string    `json:"connection"` // the same for all sessions of a connection
	Session    string    `json:"session,omitempty"`
	User       string    `json:"user"`   // the login whose key was proven
	Key        string    `json:"key"`    // fingerprint of that key
	Remote     string    `json:"remote"` // address and port
	Line       string    `json:"line"`   // the command line as received
	Command    []string  `json:"command"`
	Tier       string    `json:"tier,omitempty"`
	Namespace  string    `json:"namespace,omitempty"`
	Job        string    `json:"job,omitempty"`
	Allocation string    `json:"allocation,omitempty"`
	Task       string    `json:"task,omitempty"`
	Group      string    `json:"group,omitempty"`
	Program    string    `json:"program,omitempty"` // what NOMADCTLD_SESSION is for the program that the command runs in the task

	Confirmed   string   `json:"confirmed,omitempty"`   // yes or no, where the user was asked; by -y: unasked
	Evaluations []string `json:"evaluations,omitempty"` // IDs that Nomad gave, in the order of what was done
	Deployment  string   `json:"deployment,omitempty"`  // likewise, the last
	Operation   string   `json:"operation,omitempty"`   // ID of the work that goes on, or went on, without the session

	Decision Decision `json:"decision,omitempty"`
	Error    string   `json:"error,omitempty"`
	ExitCode int      `json:"exit_code"`        // of end events only
	Duration float64  `json:"duration_seconds"` // likewise
}

// encode returns the event as one line, with the fields that its kind has.
func (e Event) encode() ([]byte, error) {
	type event Event
	// A field of the outer struct hides the embedded field of the same key, and is left out itself.
	type unfinished struct {
		event
		ExitCode *int     `json:"exit_code,omitempty"`
		Duration *float64 `json:"duration_seconds,omitempty"`
	}
	type brief struct {
		unfinished
		Line    string   `json:"line,omitempty"`
		Command []string `json:"command,omitempty"`
	}
	var fields any
	switch e.Kind {
	case End:
		fields = event(e)
	case Start:
		fields = unfinished{event: event(e)}
	default:
		fields = brief{unfinished: unfinished{event: event(e)}, Line: e.Line, Command: e.Command}
	}
	line, err := escape.JSON(fields, "")
	return append(line, '\n'), err
}

// encodeShort returns an end event without what its start event has already, for a disk on which the whole event does
// not fit.
func (e Event) encodeShort() ([]byte, error) {
	type event Event
	type short struct {
		event
		Line        *string  `json:"line,omitempty"`
		Command     *string  `json:"command,omitempty"`
		Evaluations []string `json:"evaluations,omitempty"`
	}
	e.Error = truncate(e.Error, maxShortError)
	line, err := escape.JSON(short{event: event(e), Evaluations: e.Evaluations[:min(len(e.Evaluations), maxShortEvaluations)]}, "")
	return append(line, '\n'), err
}

// Decision is what authorization said.
type Decision string

// A command line that is wrong (no such command, a bad flag) gets as far as no decision: it is Invalid.
const (
	Allowed Decision = "allowed"
	Denied  Decision = "denied"
	Invalid Decision = "invalid"
)
