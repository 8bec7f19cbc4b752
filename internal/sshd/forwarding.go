package sshd

// forwardChannels are the channels with which clients forward ports and sockets: ssh -L, -D, -W and -J.
var forwardChannels = []string{"direct-tcpip", "direct-streamlocal@openssh.com"}

// forwardRefusal is why such a channel is refused. OpenSSH prints it.
const forwardRefusal = "this gateway forwards no ports; reach a task with exec (see: help exec)"
