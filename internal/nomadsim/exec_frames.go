package nomadsim

import "nomadctld/internal/nomadsim/jobspec"

// execInput is a frame from the client. An empty frame is a heartbeat.
type execInput struct {
	Stdin *stream `json:"stdin"`
	Size  *struct {
		Height uint16 `json:"height"`
		Width  uint16 `json:"width"`
	} `json:"tty_size"`
}

// execOutput is a frame to the client.
type execOutput struct {
	Stdout *stream     `json:"stdout,omitempty"`
	Stderr *stream     `json:"stderr,omitempty"`
	Exited bool        `json:"exited,omitempty"`
	Result *execResult `json:"result,omitempty"`
}

type stream struct {
	Data  []byte `json:"data,omitempty"`
	Close bool   `json:"close,omitempty"`
}

type execResult struct {
	ExitCode int `json:"exit_code,omitempty"`
}

// execClient is the connection of an exec to its client.
type execClient interface {
	// frames returns the frames from the client. The channel is closed when the client has disconnected.
	frames() <-chan execInput
	// send sends a frame to the client.
	send(out execOutput) error
	// readError returns why reading from the client ended, or nil while it continues.
	readError() error
}

// execRequest is a request to run a program in a task.
type execRequest struct {
	command    []string
	tty        bool
	allocation *allocation
	task       jobspec.Task
	node       *node
}
