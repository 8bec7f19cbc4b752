package sshd

import (
	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// forwards are the channels with which clients forward ports and sockets: ssh -L, -D, -W and -J.
var forwards = []string{"direct-tcpip", "direct-streamlocal@openssh.com"}

// refuseForward refuses a channel in words that OpenSSH shows.
func refuseForward(_ *ssh.Server, _ *gossh.ServerConn, channel gossh.NewChannel, _ ssh.Context) {
	channel.Reject(gossh.Prohibited, "this gateway forwards no ports; reach a task with exec (see: help exec)")
}

// channels returns what deals with each type of channel.
func (s *Server) channels() map[string]ssh.ChannelHandler {
	handlers := map[string]ssh.ChannelHandler{"session": s.session}
	for _, name := range forwards {
		handlers[name] = refuseForward
	}
	return handlers
}
