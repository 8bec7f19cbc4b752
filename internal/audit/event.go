// Package audit records what was asked of the gateway and what came of it: one JSON object a line for each
// command, written when the command has ended.
package audit

import "time"

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
)

// Event is one command. Every string is as it came from the client or the cluster; Log escapes what could harm.
type Event struct {
	Kind       Kind      `json:"event"`
	Time       time.Time `json:"time"`       // of its beginning, UTC
	Connection string    `json:"connection"` // the same for all sessions of a connection
	Session    string    `json:"session"`
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

	Confirmed   string   `json:"confirmed,omitempty"`   // yes or no, where the user was asked; by -y: unasked
	Evaluations []string `json:"evaluations,omitempty"` // IDs that Nomad gave, in the order of what was done
	Deployment  string   `json:"deployment,omitempty"`  // likewise, the last
	Operation   string   `json:"operation,omitempty"`   // ID of the work that goes on, or went on, without the session

	Decision Decision `json:"decision"`
	Error    string   `json:"error,omitempty"`
	ExitCode int      `json:"exit_code"`
	Duration float64  `json:"duration_seconds"`
}

// Decision is what authorization said.
type Decision string

// A command line that is wrong (no such command, a bad flag) gets as far as no decision: it is Invalid.
const (
	Allowed Decision = "allowed"
	Denied  Decision = "denied"
	Invalid Decision = "invalid"
)
