package sshd

import (
	"io"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/internal/console"
)

// maxTerm bounds the length of TERM. The longest names in terminfo have about 40 bytes.
const maxTerm = 128

// pty accepts one terminal request before the command.
func (c *channel) pty(payload []byte) bool {
	var pty struct {
		Term                          string
		Width, Height, XPixel, YPixel uint32
		Modes                         string
	}
	if gossh.Unmarshal(payload, &pty) != nil || len(pty.Term) > maxTerm {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.terminal != nil {
		return false
	}
	terminal := console.NewTerminal(pty.Term, clampSize(pty.Width), clampSize(pty.Height))
	if terminal.SetModes(pty.Modes) != nil {
		return false
	}
	c.terminal = terminal
	return true
}

// refuseTerminal prints why the login may not have a terminal. OpenSSH prints only that the request failed, and exits
// if the user has asked for a terminal. So refuseTerminal prints the reason at once, and waits until the client has
// received it. Nothing else writes before the command.
func (c *channel) refuseTerminal() {
	if c.hasStarted() || c.refusedTerminal {
		return
	}
	c.refusedTerminal = true
	io.WriteString(c.sshChannel.Stderr(), "nomadctld: no terminal: "+c.noTerminal+"\r\n")
	c.waitForClient()
}

// resize accepts a window change of the terminal.
func (c *channel) resize(payload []byte) bool {
	var window struct{ Width, Height, XPixel, YPixel uint32 }
	if gossh.Unmarshal(payload, &window) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terminal == nil {
		return false
	}
	c.terminal.Resize(clampSize(window.Width), clampSize(window.Height))
	return true
}

// clampSize limits a number of columns or rows to a plausible value.
func clampSize(n uint32) int { return int(min(n, 1<<15)) }
