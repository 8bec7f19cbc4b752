package sshd

// forwardChannels are the channel types of ssh -L, -D, -W and -J.
var forwardChannels = []string{"direct-tcpip", "direct-streamlocal@openssh.com"}

// forwardRefusal is the reason for refusing such a channel. OpenSSH prints it.
const forwardRefusal = "port forwarding is not supported; use exec to reach a task (see: help exec)"
