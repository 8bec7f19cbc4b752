package agent

import (
	"nomadctld/internal/nomadsim/jobspec"

	"nomadctld/internal/nomadsim/store"
)

// ExecInput is a frame from the client. An empty frame is a heartbeat.
type ExecInput struct {
	Stdin *Stream `json:"stdin"`
	Size  *struct {
		Height uint16 `json:"height"`
		Width  uint16 `json:"width"`
	} `json:"tty_size"`
}

// ExecOutput is a frame to the client.
type ExecOutput struct {
	Stdout *Stream     `json:"stdout,omitempty"`
	Stderr *Stream     `json:"stderr,omitempty"`
	Exited bool        `json:"exited,omitempty"`
	Result *execResult `json:"result,omitempty"`
}

// Stream is a chunk of input or output, or its end.
type Stream struct {
	Data  []byte `json:"data,omitempty"`
	Close bool   `json:"close,omitempty"`
}

type execResult struct {
	ExitCode int `json:"exit_code,omitempty"`
}

// execClient is the connection of an exec to its client.
type execClient interface {
	// Frames returns the frames from the client. The channel is closed when the client has disconnected.
	Frames() <-chan ExecInput
	// Send sends a frame to the client.
	Send(out ExecOutput) error
	// ReadError returns why reading from the client ended, or nil while it continues.
	ReadError() error
}

// ExecRequest is a request to run a program in a task.
type ExecRequest struct {
	Command    []string
	TTY        bool
	Allocation *store.Allocation
	Task       jobspec.Task
	Node       *store.Node
}
