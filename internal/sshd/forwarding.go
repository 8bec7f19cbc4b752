package sshd

import gossh "golang.org/x/crypto/ssh"

// forwardChannels are the channel types of ssh -L, -D, -W and -J.
var forwardChannels = []string{"direct-tcpip", "direct-streamlocal@openssh.com"}

// noForwarding is the reason for refusing such a channel. OpenSSH prints it.
const noForwarding = "port forwarding is not supported; use exec to reach a task (see: help exec)"

// forwardRefusal returns the reason for refusing a channel on a connection.
func (s *Server) forwardRefusal(conn *gossh.ServerConn) string {
	if login, err := s.currentLogin(conn); err == nil && login.NoForwarding != "" {
		return login.NoForwarding
	}
	return noForwarding
}
